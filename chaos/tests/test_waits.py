"""The checks of requests that wait."""

import pytest

from chaos import waits
from chaos.waits import Wait


@pytest.mark.parametrize(
    ("took_seconds", "answer", "is_in_trouble", "is_found"),
    [
        (3.9, "200", False, False),
        (4.1, "200", False, True),
        (4.1, "503", False, True),
        (4.1, "ReadTimeout", False, False),
        (4.1, "200", True, False),
        (7.1, "200", True, True),
    ],
)
def test_an_overdue_waiter_is_found(took_seconds, answer, is_in_trouble, is_found):
    wait = Wait("job", 2, 100.0, took_seconds, answer, "id")
    troubles = [(102.0, 103.0)] if is_in_trouble else [(90.0, 95.0)]
    assert bool(list(waits.overdue([wait], troubles))) is is_found


@pytest.mark.parametrize(
    ("answer", "is_final", "applied", "is_found"),
    [
        ("200", True, "wait=2", False),
        ("200", False, "", False),
        ("202", False, "", False),
        ("200", False, "wait=2", True),
        ("202", False, "wait=2", True),
        ("200", True, "wait=1", True),
    ],
)
def test_a_wrong_answer_to_a_waiter_is_found(answer, is_final, applied, is_found):
    wait = Wait("job", 2, 100.0, 1.0, answer, "id", is_final, applied)
    assert bool(list(waits.wrong([wait]))) is is_found
