"""Clients in two processes request one permit after the other. Does any window exceed the limit?

A client knows when it asked and when it got the answer. A window certainly contains the permits
that were both requested and granted within it, so only those count. For `take`, the times in its
log count.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Barrier
from unittest.mock import patch

from loadtest.bench.permits import Permits

PROCESSES, THREADS = 2, 2
RETRY_SECONDS = 0.005  # if the library does not say when
MAX_WAIT_SECONDS = 0.1
START_SECONDS = 60.0

_start: Barrier  # shared by all threads of all processes


@dataclass(frozen=True)
class Grant:
    """A permit: when it was requested and when it was granted, in monotonic seconds."""

    asked_at: float
    answered_at: float


class Race:
    """Processes that can run several races."""

    def __init__(self) -> None:
        context = get_context("spawn")
        start = context.Barrier(PROCESSES * THREADS)
        self._processes = ProcessPoolExecutor(
            PROCESSES, mp_context=context, initializer=_share, initargs=(start,)
        )

    def __enter__(self) -> "Race":
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.shutdown()

    def run(
        self, make: Callable[[], Permits], seconds: float, behind_seconds: float
    ) -> list[Grant]:
        """Have all clients ask for `seconds`. The clock of the last process is behind."""
        clocks = [0.0] * (PROCESSES - 1) + [behind_seconds]
        runs = [self._processes.submit(_run, make, seconds, behind) for behind in clocks]
        return [grant for run in runs for grant in run.result()]


def most_within(grants: Sequence[Grant], seconds: float) -> int:
    """Return the number of permits that certainly lay in one window of that length."""
    return max(
        sum(
            1
            for grant in grants
            if first.asked_at <= grant.asked_at and grant.answered_at <= first.asked_at + seconds
        )
        for first in grants
    )


@contextmanager
def clock(behind_seconds: float) -> Iterator[None]:
    """Set this process' clock back."""
    right, right_ns = time.time, time.time_ns
    with (
        patch("time.time", lambda: right() - behind_seconds),
        patch(
            "pyrate_limiter.buckets.redis_bucket.time_ns",
            lambda: right_ns() - int(behind_seconds * 1e9),
        ),
    ):
        yield


def ask(permits: Permits, seconds: float) -> list[Grant]:
    """Request one permit after the other for `seconds`."""
    grants: list[Grant] = []
    end_at = time.monotonic() + seconds
    while (asked_at := time.monotonic()) < end_at:
        granted, wait_seconds = permits.ask(1)
        if granted:
            grants.append(Grant(asked_at, time.monotonic()))
        else:
            time.sleep(min(wait_seconds or RETRY_SECONDS, MAX_WAIT_SECONDS))
    return grants


def _share(start: Barrier) -> None:
    global _start  # a barrier can be passed to a process only at its start
    _start = start


def _run(make: Callable[[], Permits], seconds: float, behind_seconds: float) -> list[Grant]:
    with clock(behind_seconds), ThreadPoolExecutor(THREADS) as threads:
        runs = [threads.submit(_ask_together, make(), seconds) for _ in range(THREADS)]
        return [grant for run in runs for grant in run.result()]


def _ask_together(permits: Permits, seconds: float) -> list[Grant]:
    _start.wait(START_SECONDS)
    return ask(permits, seconds)
