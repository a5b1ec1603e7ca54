"""Requests byte by byte, as no client library would send them."""

import json
import socket
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any


def connect(port: int, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    with suppress(OSError):  # the server answered and closed before everything was sent
        connection.sendall(data)
    return connection


def answer(connection: socket.socket, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(connection, method=method)
    response.begin()
    return response, response.read()


def ask(port: int, data: bytes) -> tuple[HTTPResponse, bytes]:
    with connect(port, data) as connection:
        return answer(connection, data.partition(b" ")[0].decode("latin-1"))


def problem(port: int, data: bytes) -> tuple[int, dict[str, Any]]:
    """Return the status and the problem document of the response, which must be one."""
    response, body = ask(port, data)
    assert response.headers["Content-Type"] == "application/problem+json", body
    return response.status, json.loads(body)
