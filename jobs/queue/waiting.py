"""Wakes requests that wait for a job or a batch to end (docs/decisions/0027-waiting.md).

Who waits for a job adds it to its vendor's set `waited`. Whoever settles a final job that is in
there adds its id to the stream `enrich:ended`, and whoever finishes a batch adds that one's id. One
thread of each process reads this stream, as long as a request of the process waits.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread, current_thread

import redis

from jobs import stopping
from jobs.queue.keys import ENDED, Keys
from jobs.queue.redis import connect, script
from jobs.queue.stream import hints_may_fail

log = logging.getLogger(__name__)

BLOCK_SECONDS = 1.0
MAX_ENDED = 1000


def announce(batch_id: str) -> None:
    """Wake those who wait for this batch, best effort."""
    hints_may_fail.give(
        lambda client: client.xadd(ENDED, {"id": batch_id}, maxlen=MAX_ENDED, approximate=True)
    )


class Waiters:
    """The requests of this process that wait, by the id of what they wait for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: dict[str, list[Event]] = {}
        self._listener: Thread | None = None

    @contextmanager
    def waiting_for(
        self, ended_id: str, seconds: float, vendor: str = ""
    ) -> Iterator[Event | None]:
        """Within, the event is set once this job of `vendor`, or this batch, has ended. It is set
        as well if nothing more can be heard, or if the process is told to stop.

        Look at the row within, before waiting: it may have ended before. The value is None if Redis
        does not answer, so that the event would never be set.
        """
        event = Event()
        with self._lock:
            self._events.setdefault(ended_id, []).append(event)
        try:
            after = _register(ended_id, seconds, vendor)
            if after is not None:
                self._listen(after)
            if stopping.is_stopping():  # perhaps since before the event could be found
                event.set()
            yield None if after is None else event
        finally:
            self._forget(ended_id, event)

    def wake_all(self) -> None:
        with self._lock:
            for event in _each(self._events.values()):
                event.set()

    def _forget(self, ended_id: str, event: Event) -> None:
        with self._lock:
            self._events[ended_id].remove(event)
            if not self._events[ended_id]:
                del self._events[ended_id]

    def _listen(self, after: str) -> None:
        """Start a thread that listens, unless there is one.

        That one began to listen before the caller looks at its row. What ended earlier is seen
        there.
        """
        with self._lock:
            if self._listener is None:
                self._listener = Thread(
                    target=self._run, args=(after,), name="ended-listener", daemon=True
                )
                self._listener.start()

    def _run(self, after: str) -> None:
        client = connect(BLOCK_SECONDS + 3)
        try:
            while self._is_needed():
                grown = client.xread({ENDED: after}, block=int(BLOCK_SECONDS * 1000))
                for _, entries in grown or []:
                    after = entries[-1][0]
                    self._wake(fields["id"] for _, fields in entries)
        except redis.RedisError as error:
            if self._events:
                log.info("waiting requests are answered: Redis failed (%s)", type(error).__name__)
        finally:
            self._give_up()
            client.close()

    def _is_needed(self) -> bool:
        """Return whether anybody waits. If not, the next one starts another thread."""
        with self._lock:
            if not self._events:
                self._listener = None
            return bool(self._events)

    def _wake(self, ended_ids: Iterable[str]) -> None:
        with self._lock:
            for event in _each(self._events.get(ended_id, []) for ended_id in ended_ids):
                event.set()

    def _give_up(self) -> None:
        """Wake all requests: this thread, which would have woken them, ends."""
        with self._lock:
            if self._listener is not current_thread():
                return
            self._listener = None
            for event in _each(self._events.values()):
                event.set()


def _each(events: Iterable[list[Event]]) -> Iterator[Event]:
    for of_one in events:
        yield from of_one


def _register(ended_id: str, seconds: float, vendor: str) -> str | None:
    """Return the newest entry of `enrich:ended`; None if Redis does not answer."""
    keys = [ENDED, Keys(vendor).waited] if vendor else [ENDED]
    args = [ended_id, int(seconds * 1000)]
    replies: list[str] = []
    hints_may_fail.give(
        lambda client: replies.append(script("wait")(keys=keys, args=args, client=client))
    )
    return replies[0] if replies else None


waiters = Waiters()
stopping.when_stopping(waiters.wake_all)
