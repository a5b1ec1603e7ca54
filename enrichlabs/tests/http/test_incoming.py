"""Incoming and gunicorn's parser agree where a request ends, whatever its bytes."""

import random
import time

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser

from enrichlabs.http.incoming import Incoming
from enrichlabs.http.request_limits import MAX_HEAD_BYTES, limits_of
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


def test_a_head_is_read_in_linear_time():
    lines = b" HTTP/1.1\r\n" * 3800 + (b"expect:" + b" " * 8 + b"1\r\n") * 1055
    head = POST + lines + b"Content-Length: 5\r\n\r\n"
    assert 60_000 < len(head) <= MAX_HEAD_BYTES
    half = fastest(head[: len(head) // 2] + b"\r\nContent-Length: 5\r\n\r\n")
    assert fastest(head) < 10 * max(half, 0.0001)  # the square of a head's length would take longer
    assert fastest(head) < 0.1


def fastest(head):
    """Return the shortest of several times that it took to read a head, in seconds."""
    times = []
    for _ in range(5):
        began_at = time.process_time()
        Incoming(1).add(head)
        times.append(time.process_time() - began_at)
    return min(times)


@pytest.mark.parametrize("target", ["/jobs#x", "/jobs?a#b", "http://host/jobs#/x", "/jobs?#"])
def test_a_fragment_is_not_part_of_the_path(target):
    incoming = Incoming(1)
    incoming.add(f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n".encode())
    assert incoming.limits == limits_of("/jobs")
