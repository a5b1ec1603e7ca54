"""Lines are the same however their bytes arrive, and long ones take no memory."""

import hashlib
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.api.batches.posting.lines import LongLine, read_lines

MAX_BYTES = 8
MB = 1024 * 1024


class Arriving:
    """A body that arrives in parts of these sizes, over and over."""

    def __init__(self, body, sizes):
        self._body, self._sizes, self._count = BytesIO(body), sizes, 0

    def read(self, size):
        self._count += 1
        return self._body.read(min(size, self._sizes[self._count % len(self._sizes)]))


def expected(body):
    for line in body.split(b"\n"):
        if len(line.removesuffix(b"\r")) > MAX_BYTES:
            yield LongLine(hashlib.sha256(line).hexdigest())
        elif line.strip(b" \t\r"):
            yield line.strip(b" \t\r")


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b" ", b"a", b"bcd", b"\r", b"x" * 30])).map(b"".join),
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_lines_do_not_depend_on_how_they_arrive(body, sizes):
    assert list(read_lines(Arriving(body, sizes).read, MAX_BYTES)) == list(expected(body))


@pytest.mark.parametrize("end", [b"", b"\n", b"\nabc"])
def test_a_long_line_is_not_kept(end):
    parts = [b"x" * MB] * 30 + ([end] if end else []) + [b""]
    parts.reverse()
    tracemalloc.start()
    try:
        found = list(read_lines(lambda size: parts.pop() if parts else b"", MAX_BYTES))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    digest = hashlib.sha256(b"x" * 30 * MB).hexdigest()
    assert found == [LongLine(digest), *([b"abc"] if b"abc" in end else [])]
    assert peak < 5 * MB
