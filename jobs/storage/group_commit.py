"""Writes what many threads have to write in few commits ("group commit").

The first leads, and writes down all that have come in by then; what comes in meanwhile waits for
the next commit, led by the first of those. Under load the wait for the disk, and on SQLite for the
turn of the one writer, is thus shared by many, and a thread alone waits for nobody. None waits for
longer than its own patience with the store.
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
    """An item that is to be written, and what became of that."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.turn = Event()  # set when it is written, or is to lead
        self.is_done = False
        self.answer: R | None = None
        self.error: Exception | None = None


class GroupCommit(Generic[T, R]):
    """Takes items from many threads, and gives each what `write` answers for it.

    `write` is called with some items inside a commit, and with each alone where the store refuses
    one of them. `then` is called with those that were committed, when their threads have their
    answers already.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Sequence[R]],
        then: Callable[[Sequence[T]], None] = lambda items: None,
    ) -> None:
        self._write = write
        self._then = then
        self._lock = Lock()
        self._waiting: deque[_Request[T, R]] = deque()
        self._leader: _Request[T, R] | None = None

    def commit(self, item: T) -> R:
        """Return what `write` answered for the item, once that is committed. Raises DatabaseError
        where it was not.
        """
        request: _Request[T, R] = _Request(item)
        if connection.in_atomic_block:
            self._commit_alone(request)  # a leader would wait for the store, which we have
        else:
            self._wait_or_lead(request)
        if request.error:
            raise request.error
        return cast("R", request.answer)

    def _wait_or_lead(self, request: _Request[T, R]) -> None:
        with self._lock:
            self._waiting.append(request)
            self._leader = self._leader or request
            leads = self._leader is request
        if not leads and not request.turn.wait(store.seconds_left()):
            self._withdraw(request)
        if not request.is_done:
            self._lead(request)

    def _withdraw(self, request: _Request[T, R]) -> None:
        """Take back a request that has waited for too long. Raises OperationalError, unless it is
        being written already.
        """
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
                if self._leader is request:
                    self._pass_on()
                raise OperationalError("the store did not answer those who came before")
        request.turn.wait()

    def _lead(self, own: _Request[T, R]) -> None:
        requests: list[_Request[T, R]] = []
        try:
            with writing():
                requests = (
                    self._take_all()
                )  # not before: behind a locked store, each waits for as long as it can
                answers = self._write([request.item for request in requests])
        except Exception as error:
            if not requests or (isinstance(error, STORE_ERRORS) and not refuses(error)):
                requests = requests or self._take_back(own)
                _fail(requests, error)
            else:
                # One of them can't be written, and not all are refused for its sake.
                for request in requests:
                    self._write_alone(request)
        else:
            _end(requests, answers)
        finally:
            requests = requests or self._take_back(own)
            with self._lock:
                self._pass_on()
            # Whatever ended this thread, the others go on.
            _fail(
                [request for request in requests if not request.is_done],
                OperationalError("the commit was broken off"),
            )
            for request in requests:
                request.turn.set()
        self._then([request.item for request in requests if not request.error])

    def _commit_alone(self, request: _Request[T, R]) -> None:
        self._write_alone(request)
        if not request.error:
            self._then([request.item])

    def _write_alone(self, request: _Request[T, R]) -> None:
        try:
            with writing():
                answers = self._write([request.item])
        except Exception as error:
            _fail([request], error)
        else:
            _end([request], answers)

    def _take_all(self) -> list[_Request[T, R]]:
        with self._lock:
            requests = list(self._waiting)
            self._waiting.clear()
        return requests

    def _take_back(self, own: _Request[T, R]) -> list[_Request[T, R]]:
        with self._lock:
            self._waiting.remove(own)
        return [own]

    def _pass_on(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader:
            self._leader.turn.set()


def _end(requests: Sequence[_Request[T, R]], answers: Sequence[R]) -> None:
    for request, answer in zip(requests, answers, strict=True):
        request.answer, request.is_done = answer, True


def _fail(requests: Sequence[_Request[T, R]], error: Exception) -> None:
    for request in requests:
        request.error, request.is_done = error, True
