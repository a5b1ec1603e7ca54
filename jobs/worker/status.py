"""What a worker reports of itself with each heartbeat, and the orders that it obeys."""

import logging
import socket
import time
from collections import deque
from collections.abc import Collection
from typing import Protocol

from django.conf import settings

from jobs.queue.clock import redis_clock
from jobs.queue.workers import Order, WorkerFacts
from jobs.recovery import unusable

log = logging.getLogger(__name__)

RATE_HEARTBEATS = 60  # a minute of them
SLOWEST_HEARTBEATS = 10


class Busy(Protocol):
    """The pool."""

    @property
    def busy(self) -> int: ...


class Records(Protocol):
    """The recorder."""

    recorded: int

    def slowest_ms(self) -> float | None: ...


class WorkerStatus:
    """Counts what a worker does, and knows whether it is drained or stops."""

    def __init__(
        self,
        name: str,
        threads: int,
        pool: Busy,
        recorder: Records,
        only: Collection[str],
    ) -> None:
        self.is_drained = False
        self.is_stopping = False  # no Event: its lock could block the signal handler that sets it
        self._name = name
        self._threads = threads
        self._pool = pool
        self._recorder = recorder
        self._only = tuple(only)
        self._host = socket.gethostname()
        self._started_at = 0.0
        self._unusable: dict[str, str] = {}
        self._recorded = deque([0], maxlen=RATE_HEARTBEATS + 1)
        self._slowest: deque[float | None] = deque(maxlen=SLOWEST_HEARTBEATS)

    def facts(self) -> WorkerFacts:
        """Return what to report. Called once for each heartbeat."""
        self._started_at = self._started_at or redis_clock.now().timestamp()
        self._recorded.append(self._recorder.recorded)
        self._slowest.append(self._recorder.slowest_ms())
        state = "stopping" if self.is_stopping else "draining" if self.is_drained else ""
        return WorkerFacts(
            host=self._host,
            version=settings.VERSION,
            threads=self._threads,
            busy=min(self._pool.busy, self._threads),
            per_minute=self._recorded[-1] - self._recorded[0],
            started_at=self._started_at,
            state=state,
            only=self._only,
            store_ms=max((ms for ms in self._slowest if ms is not None), default=None),
            clock=time.time(),
        )

    def log_unusable(self, found: dict[str, str]) -> None:
        """Log once why this worker can't use a vendor or a key, given unusable.faults."""
        for name, why in found.items():
            if self._unusable.get(name) != why:
                log.error("%s %s is not %s by this worker: %s", *unusable.words(name), why)
        for name in self._unusable.keys() - found.keys():
            log.info("%s %s can be %s", *unusable.words(name))
        self._unusable = found

    def obey(self, order: Order) -> None:
        log.info("worker %s obeys the console: %s", self._name, order.value)
        match order:
            case Order.STOP:
                self.is_stopping = True
            case Order.DRAIN:
                self.is_drained = True
            case Order.RESUME:
                self.is_drained = False
