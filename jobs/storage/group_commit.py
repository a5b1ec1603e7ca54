"""Group commit: the writes of many threads share few commits.

The first thread leads, and writes everything that waits by then. What arrives meanwhile waits for
the next commit, led by the first of those. Under load many threads share one wait for the disk,
and on SQLite for the one writer; a single thread waits for no other. No thread waits longer than
its own patience with the store allows.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Generic, TypeVar, cast

from django.db import OperationalError, connection

from jobs.storage import store
from jobs.storage.store import STORE_ERRORS, refuses, writing

T = TypeVar("T")
R = TypeVar("R")


class _Request(Generic[T, R]):
    """An item to write, and the outcome."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.wake = Event()  # set when the item is done, or when its thread is to lead
        self.is_done = False
        self.answer: R | None = None
        self.error: Exception | None = None


class GroupCommit(Generic[T, R]):
    """Takes items from many threads, and returns to each what `write` answered for its item.

    `write` is called with several items inside a commit; if the store refuses one of them, with
    each of them alone. `then` is called with the committed items and the answers, after their
    threads got these.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Sequence[R]],
        then: Callable[[Sequence[T], Sequence[R]], None] = lambda items, answers: None,
    ) -> None:
        self._write = write
        self._then = then
        self._lock = Lock()
        self._waiting: deque[_Request[T, R]] = deque()
        self._leader: _Request[T, R] | None = None

    def commit(self, item: T) -> R:
        """Return what `write` answered for the item, once it is committed. Raises DatabaseError,
        or what `write` raised for the item, if it is not.
        """
        request: _Request[T, R] = _Request(item)
        if connection.in_atomic_block:
            # A leader would wait for the store, which this thread holds.
            self._commit_alone(request)
        else:
            self._lead_or_follow(request)
        if request.error:
            raise request.error
        return cast("R", request.answer)

    def _commit_alone(self, request: _Request[T, R]) -> None:
        self._write_alone(request)
        self._report([request])

    def _lead_or_follow(self, request: _Request[T, R]) -> None:
        with self._lock:
            self._waiting.append(request)
            self._leader = self._leader or request
            leads = self._leader is request
        if not leads and not request.wake.wait(store.seconds_left()):
            self._give_up(request)
        if not request.is_done:
            self._lead(request)

    def _give_up(self, request: _Request[T, R]) -> None:
        """Withdraw a request that waited too long. Raises OperationalError, unless it is being
        written already; then the outcome is waited for.
        """
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
                if self._leader is request:
                    self._choose_leader()
                raise OperationalError("The store did not answer the requests before this one.")
        request.wake.wait()

    def _lead(self, own: _Request[T, R]) -> None:
        """Write all waiting requests in one commit, then pass the lead on."""
        requests = [own]
        try:
            with writing():
                # Taken only now: while the store is locked, each waits by its own patience.
                requests = self._take_waiting()
                answers = self._write([request.item for request in requests])
        except Exception as error:
            if isinstance(error, STORE_ERRORS) and not refuses(error):
                _fail(requests, error)
            else:  # one of them can't be written; the others can
                for request in requests:
                    self._write_alone(request)
        else:
            _succeed(requests, answers)
        finally:
            self._step_down(own, requests)
        self._report(requests)

    def _report(self, requests: Sequence[_Request[T, R]]) -> None:
        written = [request for request in requests if not request.error]
        answers = [cast("R", request.answer) for request in written]
        self._then([request.item for request in written], answers)

    def _take_waiting(self) -> list[_Request[T, R]]:
        with self._lock:
            requests = list(self._waiting)
            self._waiting.clear()
        return requests

    def _write_alone(self, request: _Request[T, R]) -> None:
        try:
            with writing():
                answers = self._write([request.item])
        except Exception as error:
            _fail([request], error)
        else:
            _succeed([request], answers)

    def _step_down(self, own: _Request[T, R], requests: list[_Request[T, R]]) -> None:
        """Choose the next leader and wake the threads of these requests, even if this thread is
        being ended: then those that are not done fail.
        """
        with self._lock:
            if own in self._waiting:  # the commit could not begin
                self._waiting.remove(own)
            self._choose_leader()
        undone = [request for request in requests if not request.is_done]
        _fail(undone, OperationalError("The commit was interrupted."))
        for request in requests:
            request.wake.set()

    def _choose_leader(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader:
            self._leader.wake.set()


def _succeed(requests: Sequence[_Request[T, R]], answers: Sequence[R]) -> None:
    for request, answer in zip(requests, answers, strict=True):
        request.answer, request.is_done = answer, True


def _fail(requests: Sequence[_Request[T, R]], error: Exception) -> None:
    for request in requests:
        request.error, request.is_done = error, True
