"""Accepts jobs: a row is committed before its client has the id, and then the workers are told.

Requests that come in together share a commit ("group commit"): the first leads, and writes down all that have come in by
then; what comes in meanwhile waits for the next commit, led by the first of those. Under load the wait for the disk is thus
shared by many, and a request alone waits for nobody. None waits for longer than its own patience with the store.
"""

from collections import deque
from collections.abc import Sequence
from threading import Event, Lock

from django.db import OperationalError

from jobs import batch, store, stream
from jobs.clock import clock
from jobs.models import Job
from jobs.store import STORE_ERRORS, writing


class _Request:
    """A job that is to be accepted, and what became of that."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.turn = Event()  # set when it is written, or is to lead
        self.is_done = False
        self.error: Exception | None = None


class Accepter:
    """Takes jobs from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[_Request] = deque()
        self._leader: _Request | None = None

    def accept(self, job: Job) -> None:
        """Commit a new job and tell the workers. Raises DatabaseError where the store did not take it."""
        request = _Request(job)
        with self._lock:
            self._waiting.append(request)
            self._leader = self._leader or request
            leads = self._leader is request
        if not leads and not request.turn.wait(store.seconds_left()):
            self._withdraw(request)
        if not request.is_done:
            self._lead(request)
        if request.error:
            raise request.error

    def _withdraw(self, request: _Request) -> None:
        """Take back a request that has waited for too long. Raises OperationalError, unless it is being written already."""
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
                if self._leader is request:
                    self._pass_on()
                raise OperationalError("the store did not answer those who came before")
        request.turn.wait()

    def _lead(self, own: _Request) -> None:
        requests: list[_Request] = []
        try:
            with writing():
                requests = self._take_all()  # not before: behind a locked store, each waits for as long as it can
                _insert(requests)
        except Exception as error:
            if not requests or isinstance(error, STORE_ERRORS):
                requests = requests or self._take_back(own)
                _end(requests, error)
            else:
                # One of them can't be written, and not all are refused for its sake.
                for request in requests:
                    _insert_alone(request)
        else:
            _end(requests)
        finally:
            requests = requests or self._take_back(own)
            with self._lock:
                self._pass_on()
            # Whatever ended this thread, the others go on.
            _end([request for request in requests if not request.is_done], OperationalError("the commit was broken off"))
            for request in requests:
                request.turn.set()
        _offer([request.job for request in requests if not request.error])

    def _take_all(self) -> list[_Request]:
        with self._lock:
            requests = list(self._waiting)
            self._waiting.clear()
        return requests

    def _take_back(self, own: _Request) -> list[_Request]:
        with self._lock:
            self._waiting.remove(own)
        return [own]

    def _pass_on(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader:
            self._leader.turn.set()


def _insert(requests: Sequence[_Request]) -> None:
    now = clock.now()
    for request in requests:
        request.job.queued_at = now
    batch.insert_each([request.job for request in requests])


def _insert_alone(request: _Request) -> None:
    try:
        with writing():
            _insert([request])
    except Exception as error:
        _end([request], error)
    else:
        _end([request])


def _end(requests: Sequence[_Request], error: Exception | None = None) -> None:
    for request in requests:
        request.error, request.is_done = error, True


def _offer(jobs: Sequence[Job]) -> None:
    for vendor in {job.vendor for job in jobs}:
        stream.offer(vendor, [job.pk for job in jobs if job.vendor == vendor])


accepter = Accepter()
