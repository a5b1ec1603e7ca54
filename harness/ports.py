"""Ports for servers that a test starts."""

import secrets
import socket

# Below the ephemeral ports: a client could take one of those before the server does.
FIRST, LAST = 20000, 32767

_given: set[int] = set()


def free_port() -> int:
    """Return a random free port of the loopback device, another one each time. Parallel tests get
    different ones.
    """
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        if port in _given:  # its server may not have started yet
            continue
        try:
            with socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port
        except OSError:
            continue  # in use
