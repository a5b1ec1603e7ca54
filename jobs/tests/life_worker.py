"""A worker of the life machine, what it is answered with, and the faults that it meets."""

from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from unittest.mock import DEFAULT, patch

import redis
from django.db import OperationalError, connection

from jobs.queue import stream
from jobs.queue.heartbeat import Heartbeat
from jobs.storage import bulk_writes
from jobs.tests.life_model import ERRORS
from jobs.worker import record
from jobs.worker.claim import Starter
from jobs.worker.held_entries import Hands
from vendors.base import Accepted, Adapter, Done, VendorError


class Reader(Adapter):
    """Reads callbacks, but for the odd ones; calls are made up by the machine."""

    def read_callback(self, payload):
        if payload["callback"].startswith("odd"):
            raise KeyError
        if payload["callback"].startswith("bad"):
            raise VendorError("vendor_refused", "The vendor gave up.", permanent=True)
        return Done(payload)


def real_answer(name, result):
    traits = {
        "throttled": {"retry_after": timedelta(seconds=30)},
        "down": {"outage": True},
        "timed out": {"outage": True, "outcome_known": False},
        "garbled": {"outcome_known": False},
        "refused": {"permanent": True},
    }
    if name in ERRORS:
        return VendorError(ERRORS[name], "It went wrong.", **traits.get(name, {}))
    return {"done": Done(result), "accepted": Accepted(), "not called": None}[name]


class Worker:
    """What a worker process has, without its threads."""

    def __init__(self, number):
        self.name = f"worker-{number}"
        self.beat = Heartbeat(self.name)
        self.hands = Hands(self.name, self.beat)
        self.starter = Starter(self.name, self.hands)
        self.recorder = record.Recorder(self.hands.settle)
        self.taken = []
        self.started = []
        self.stranded = []  # jobs and attempts that it has started and does not know of


def writes_in_one_commit():
    return connection.vendor == "sqlite"


@contextmanager
def failing(fault):
    """The process meets a fault after it has changed rows: Redis or the store goes away, for good
    as far as it is concerned.
    """
    with ExitStack() as stack:
        if fault == "Redis":
            for name in ("settle", "add"):
                stack.enter_context(patch.object(stream, name, side_effect=redis.ConnectionError))
        if fault == "store":
            stack.enter_context(
                patch.object(bulk_writes, "insert_each", side_effect=OperationalError)
            )
        stack.callback(stream.hints_may_fail.__init__)  # without its second of not trying
        stack.enter_context(suppress(redis.RedisError, OperationalError))
        yield


@contextmanager
def failing_once(fault):
    """What a recorder meets: the same, but it tries the store again."""
    write = patch.object(
        bulk_writes,
        "insert_each",
        side_effect=[OperationalError, *[DEFAULT] * 9],
        wraps=bulk_writes.insert_each,
    )
    with (
        failing(fault if fault == "Redis" else ""),
        patch("jobs.worker.record.time.sleep"),
        ExitStack() as stack,
    ):
        if fault == "store":
            stack.enter_context(write)
        yield


def hints(are_lost):
    return patch.object(stream, "offer") if are_lost else ExitStack()
