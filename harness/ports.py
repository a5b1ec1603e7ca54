"""Ports for servers that a test starts."""

import secrets
import socket

# Below those that systems give to clients: one of them could have it before the server does.
FIRST, LAST = 20000, 32767


def free_port() -> int:
    """Return a port of loopback on which nobody listens, by chance, so that tests side by side get
    different ones.
    """
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue  # somebody has it
