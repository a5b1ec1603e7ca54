"""Incoming and gunicorn's parser agree where a request ends, whatever its bytes."""

import random

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser

from enrichlabs.http.incoming import Incoming
from enrichlabs.tests.http.test_framing import (
    ABSOLUTE,
    CHUNKED,
    EMPTY,
    EXPECTING,
    GET,
    LAST,
    LENGTH,
    POST,
)
from jobs.api.problems import Problem

KINDS = [
    LENGTH,
    CHUNKED,
    GET,
    EXPECTING,
    ABSOLUTE,
    EMPTY,
    LAST,
    POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
]
INTERESTING = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b":",
    b" ",
    b"\t",
    b"0",
    b"9",
    b"f",
    b"-",
    b";",
    b",",
    b"\x00",
    b"\xff",
    b"chunked",
]
INTERESTING += [
    b"Content-Length: 2\r\n",
    b"transfer-encoding: chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"HTTP/1.0",
    b"0\r\n\r\n",
]


class StarvedError(Exception):
    pass


class Source:
    """A socket that has these bytes, and raises StarvedError when asked for more."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def recv(self, size: int) -> bytes:
        if not self.data:
            raise StarvedError
        data, self.data = self.data[:size], self.data[size:]
        return data


def mutated(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(KINDS))
    for _ in range(dice.choice([0, 1, 1, 2, 3])):
        at, length = dice.randrange(len(data)), dice.choice([0, 0, 1, 1, 2, 8])
        data[at : at + length] = dice.choice(INTERESTING)
    return bytes(data)


def parse(data: bytes) -> str:
    try:
        next(RequestParser(Config(), Source(data), ("127.0.0.1", 1))).body.read()
    except StarvedError:
        return "waits"
    except (ParseException, StopIteration):
        return "refuses"
    return "reads"


def feed(incoming: Incoming, data: bytes) -> Problem | None:
    try:
        incoming.add(data)
    except Problem as problem:
        return problem
    return None


def arrive(data: bytes) -> tuple[Incoming, bytes, Problem | None]:
    """Give Incoming one byte after the other until it is complete or refused; return it, the bytes
    it got, and the problem.
    """
    incoming = Incoming(10)
    for at in range(len(data)):
        problem = feed(incoming, data[at : at + 1])
        if problem or incoming.is_complete:
            return incoming, data[: at + 1], problem
    return incoming, data, None


@pytest.mark.parametrize("seed", range(10))
def test_incoming_is_complete_exactly_when_the_parser_has_enough(seed):
    dice = random.Random(seed)
    for _ in range(100):
        incoming, data, problem = arrive(mutated(dice))
        assert problem or parse(data) != ("waits" if incoming.is_complete else "reads"), data


@pytest.mark.parametrize("seed", range(5))
def test_only_problems_are_raised_for_any_bytes(seed):
    dice = random.Random(seed)
    for _ in range(100):
        incoming, problem = Incoming(10), None
        while not problem and not incoming.is_complete and len(incoming.data) < 100_000:
            problem = feed(
                incoming, dice.choice([mutated(dice), dice.randbytes(dice.choice([1, 10, 5000]))])
            )
        assert problem is None or problem.status in (400, 413, 431)


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: " + b"0" * 1001 + b"60000\r\n\r\n",
        POST + b"Content-Length: 0, 60000\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0000000000000000fff\r\n\r\n",
    ],
)
def test_no_spelling_of_a_length_makes_a_thread_wait_for_the_body(data):
    incoming, _, problem = arrive(data)
    assert problem or not incoming.is_complete
