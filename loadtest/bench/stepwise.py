"""A worker's steps without its threads, each timed. Set up Django before importing this."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from harness.limits import restore_own
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.take import take
from jobs.worker.claim import claim
from jobs.worker.execute import execute
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle
from loadtest.bench.service import queue
from vendors.models import Vendor

NAME = "bench"


class Stepwise:
    """Does jobs of the only vendor.

    `cpu_us` has, for each step by its name, the microseconds of CPU per job in each batch.
    """

    def __init__(self) -> None:
        self.cpu_us: dict[str, list[float]] = defaultdict(list)
        self._vendor = Vendor.objects.get()
        restore_own(self._vendor.slug, self._vendor.windows, [], [])
        self._held = HeldEntries(NAME, Heartbeat(NAME))
        self._recorder = Recorder()

    def run(self, count: int) -> None:
        """Take a batch of jobs from acceptance to settlement."""
        with self.step("accept", count):
            queue(self._vendor.slug, count)
        with self.step("take", count):
            taken = take(self._vendor, NAME, count)
        self._held.add(taken.entries)
        with self.step("claim", count):
            executions = claim([taken], NAME, self._held)
        with self.step("execute", count):
            for execution in executions:
                execute(execution)
        with self.step("record", count):
            self._recorder.record(executions)
        with self.step("settle", count):
            settle(executions, self._held)

    @contextmanager
    def step(self, name: str, count: int) -> Iterator[None]:
        since = time.process_time()
        yield
        self.cpu_us[name].append((time.process_time() - since) * 1e6 / count)
