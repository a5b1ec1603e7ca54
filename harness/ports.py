"""Ports for servers that a test starts."""

import secrets
import socket

# Below the ephemeral ports: a client could take one of those before the server does.
FIRST, LAST = 20000, 32767


def free_port() -> int:
    """Return a random free port of the loopback device. Parallel tests get different ones."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue  # in use
