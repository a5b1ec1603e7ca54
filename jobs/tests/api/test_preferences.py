"""Prefer: wait=N, in all ways of writing it (RFC 7240)."""

import pytest

from jobs.api.input.preferences import MAX_WAIT_SECONDS, wait_seconds


@pytest.mark.parametrize(
    "header",
    [
        "wait=10",
        "WAIT = 10",
        'wait="10"',
        "wait=010",
        "\twait=10 ; foo; bar=1;",
        "respond-async, wait=10",
        'return=minimal; note="a, wait=3 \\" b",wait=10',
        "wait=10, wait=20",
        ",, wait=10,",
        "not a preference, =, wait=10",
    ],
)
def test_the_first_wait_counts(header):
    assert wait_seconds(header) == 10


@pytest.mark.parametrize("header", ["wait=31", "wait=86400", "wait=" + 5000 * "9"])
def test_a_wait_is_capped(header):
    assert wait_seconds(header) == MAX_WAIT_SECONDS == 30


@pytest.mark.parametrize(
    "header",
    [
        *("", "wait", "wait=", "wait=0", 'wait=""', "wait=-1", "wait=1.5", "wait=5s", "wait=٣"),
        *(
            "wait=5 6",
            "waits=5",
            "x; wait=5",
            "wait=a, wait=5",
            'x="wait=5',
            '"wait=5"',
            "wait=5;=",
        ),
        *(4000 * '"', 4000 * ",", 4000 * "a;", 4000 * '\\"', "a" + 4000 * ' ="'),
    ],
)
def test_anything_else_is_ignored(header):
    assert wait_seconds(header) == 0
