"""A worker's steps without its threads, each timed. Django must be set up before this is imported."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.queue import limiter
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.take import take
from jobs.worker.claim import Starter
from jobs.worker.execute import Caller
from jobs.worker.held_entries import Hands
from jobs.worker.record import Recorder
from loadtest.bench.service import queue
from vendors.models import Vendor

NAME = "bench"


class Stepwise:
    """Does jobs of the one vendor there is; `cpu_us` has the microseconds of CPU a job that each
    step took, by its name.
    """

    def __init__(self) -> None:
        self.cpu_us: dict[str, list[float]] = defaultdict(list)
        self._vendor = Vendor.objects.get()
        limiter.rebuild(self._vendor.slug, self._vendor.windows, [], [])
        self._hands = Hands(NAME, Heartbeat(NAME))
        self._starter = Starter(NAME, self._hands)
        self._recorder = Recorder(self._hands.settle)
        self._caller = Caller(self._recorder.ended)

    def run(self, count: int) -> None:
        """Take a batch of jobs from acceptance to its record."""
        with self.step("accept", count):
            queue(self._vendor.slug, count)
        with self.step("take", count):
            taken = take(self._vendor, NAME, count)
        self._hands.hold(taken.entries)
        with self.step("start", count):
            started = self._starter.start([taken])
        with self.step("call", count):
            for one in started:
                self._caller.call(one)
        ended = [one for one in (self._recorder.ended.get() for _ in started) if one]
        with self.step("record", count):
            self._recorder.record(ended)

    @contextmanager
    def step(self, name: str, count: int) -> Iterator[None]:
        since = time.process_time()
        yield
        self.cpu_us[name].append((time.process_time() - since) * 1e6 / count)
