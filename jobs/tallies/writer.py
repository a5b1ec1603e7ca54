"""Writes what this process has counted: the rows that changed, about once a second."""

import atexit
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any

from django.db import OperationalError, close_old_connections

from jobs.models import Span, Tally
from jobs.queue.clock import redis_clock
from jobs.storage import bulk_writes
from jobs.storage.store import patience, seconds_left, writing
from jobs.tallies import marks
from jobs.tallies.counts import Counts
from jobs.tallies.memory import Memory, Row, memory, minute_of
from jobs.tallies.recent import recent

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
WRITE_SECONDS = 5.0  # to wait for the store; then it begins again
EXIT_SECONDS = 3.0  # to wait for the store when the process ends
MAX_AGE_MINUTES = 2  # of the rows that are written; long before the fold reads them


@dataclass(frozen=True)
class _Write:
    row: Row
    changes: int
    tally: Tally


class Writer:
    """The thread that writes. It starts when there is something to write."""

    def __init__(self, counted: Memory) -> None:
        self._memory = counted
        self.reset()

    def reset(self) -> None:
        """Start anew, as after a fork, which copies no threads."""
        self._changed = Event()
        self._thread: Thread | None = None
        self._starting = Lock()
        self._flushing = Lock()

    def wake(self) -> None:
        """Write soon. Called after each change, so it must be quick."""
        if not self._changed.is_set():
            self._changed.set()
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = Thread(target=self._run, name="tallies", daemon=True)
                with suppress(RuntimeError):  # the process ends, and will write all of it
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        pause = Event()
        while True:
            self._changed.wait()
            pause.wait(INTERVAL_SECONDS)
            self._changed.clear()
            try:
                with patience(WRITE_SECONDS):
                    self.flush()
            except Exception as error:
                log.debug("the tallies are written later: %s", type(error).__name__)
                close_old_connections()
                self._changed.set()

    def flush(self) -> None:
        """Write the rows that have changed. What could not be written within two minutes counts
        in the current one. Raises one of STORE_ERRORS.
        """
        if not self._flushing.acquire(timeout=seconds_left()):
            raise OperationalError("another thread writes the tallies")
        try:
            self._flush()
        finally:
            self._flushing.release()

    def _flush(self) -> None:
        now, marked = minute_of(redis_clock.now()), minute_of(marks.read().minute)
        with self._memory.lock:
            self._memory.first_minute = marked  # nobody reads what would be written before
        self._move_old_rows(now)
        if writes := self._writes():
            for write in writes:
                write.row.was_sent = True
            with writing():
                bulk_writes.replace_each([write.tally for write in writes])
            for write in writes:
                write.row.written = write.changes
            recent.refresh()
        self._forget_old_rows(now)

    def finish(self) -> None:
        """Write the last second, if the store answers, because the process ends."""
        try:
            with patience(EXIT_SECONDS):
                if self._has_changes():  # else the store need not even be opened
                    self.flush()
        except Exception as error:
            log.debug("the last tallies are lost: %s", type(error).__name__)
            self._memory.reset()  # or what is registered for the exit would wait once more

    def _has_changes(self) -> bool:
        with self._memory.lock:
            return any(row.changes > row.written for row in self._memory.rows.values())

    def _writes(self) -> list[_Write]:
        with self._memory.lock:
            return [
                _Write(row, row.changes, tally(row.vendor, row.minute, row.process, row.counts))
                for row in self._memory.rows.values()
                if row.changes > row.written
            ]

    def _move_old_rows(self, now: int) -> None:
        """Count now what is missing in the store in rows that are too old to be written."""
        counted = self._memory
        with counted.lock:
            old = [row for row in counted.rows.values() if self._is_old(row, now)]
            old = [row for row in old if row.changes > row.written]
        ids = [tally_id(row.vendor, row.minute, row.process) for row in old if row.was_sent]
        # An answer that was lost does not tell whether the row was written, so look.
        stored: dict[str, Any] = (
            dict(Tally.objects.filter(pk__in=ids).values_list("pk", "counts")) if ids else {}
        )
        for row in old:
            written = stored.get(tally_id(row.vendor, row.minute, row.process), {})
            row.counts.merge(Counts.from_json(written), sign=-1)
            with counted.lock:
                counted.drop(row)
            counted.add(row.vendor, row.counts.without_samples())  # those are of then

    def _forget_old_rows(self, now: int) -> None:
        with self._memory.lock:
            for row in list(self._memory.rows.values()):
                if row.changes == row.written and self._is_old(row, now):
                    self._memory.drop(row)

    def _is_old(self, row: Row, now: int) -> bool:
        return now - row.minute > MAX_AGE_MINUTES or row.minute < self._memory.first_minute


def tally(vendor: str, minute: int, process: str, counts: Counts) -> Tally:
    """Return the unsaved row of a process."""
    at = datetime.fromtimestamp(minute * 60, UTC)
    found: dict[str, Any] = {"span": Span.PART, "at": at, "counts": counts.as_json()}
    pk = tally_id(vendor, minute, process)
    return Tally(id=pk, vendor=vendor, process=process, **found)


def tally_id(vendor: str, minute: int, process: str) -> str:
    return f"{vendor}|{minute}|{process}"


writer = Writer(memory)
memory.wake = writer.wake
atexit.register(writer.finish)
os.register_at_fork(after_in_child=writer.reset)
