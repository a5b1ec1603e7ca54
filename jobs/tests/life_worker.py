"""A worker of the life machine, the answers that it gets, and the faults that it meets."""

from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from unittest.mock import DEFAULT, patch

import redis
from django.db import OperationalError, connection

from jobs.queue import stream
from jobs.queue.heartbeat import Heartbeat
from jobs.storage import bulk_writes
from jobs.tests.life_values import ERRORS
from jobs.worker.claim import claim
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle
from vendors.base import Accepted, Adapter, Done, VendorError


class Reader(Adapter):
    """Reads callbacks, except for the odd ones. The machine makes up the calls."""

    def read_callback(self, payload):
        if payload["callback"].startswith("odd"):
            raise KeyError
        if payload["callback"].startswith("bad"):
            raise VendorError("invalid_input", "The vendor gave up.", permanent=True)
        return Done(payload)


def real_answer(name, result):
    traits = {
        "throttled": {"retry_after": timedelta(seconds=30)},
        "down": {"outage": True},
        "timed out": {"outage": True, "outcome_known": False},
        "garbled": {"outcome_known": False},
        "refused": {"permanent": True},
        "unpaid": {"permanent": True},
    }
    if name in ERRORS:
        return VendorError(ERRORS[name], "It went wrong.", **traits.get(name, {}))
    no_data = Done(None, outcome="no_data")
    answers = {"found": Done(result), "no_data": no_data, "pending": Accepted()}
    return answers.get(name)


class LifeWorker:
    """A worker process without its threads."""

    def __init__(self, number):
        self.name = f"worker-{number}"
        self.heartbeat = Heartbeat(self.name)
        self.held = HeldEntries(self.name, self.heartbeat)
        self.recorder = Recorder()
        self.taken = []
        self.claimed = []  # executions
        self.suspect = []  # jobs and attempts that it has claimed without knowing it

    def claim(self, taken):
        return claim([taken], self.name, self.held)

    def record_and_settle(self, executions):
        self.recorder.record(executions)
        settle(executions, self.held)


def writes_in_one_commit():
    return connection.vendor == "sqlite"


@contextmanager
def failing(fault):
    """Redis or the store goes away after the process has changed rows, and does not come back."""
    with ExitStack() as stack:
        if fault == "Redis":
            for name in ("settle", "add_all"):
                stack.enter_context(patch.object(stream, name, side_effect=redis.ConnectionError))
        if fault == "store":
            away = patch.object(bulk_writes, "insert_each", side_effect=OperationalError)
            stack.enter_context(away)
        stack.callback(stream.hints_may_fail.__init__)  # ends its second without attempts
        stack.enter_context(suppress(redis.RedisError, OperationalError))
        yield


@contextmanager
def failing_once(fault):
    """The same for a recorder, whose second write succeeds."""
    once = [OperationalError, *[DEFAULT] * 9]
    write = bulk_writes.insert_each
    with (
        failing(fault if fault == "Redis" else ""),
        patch("jobs.worker.record.time.sleep"),
        ExitStack() as stack,
    ):
        if fault == "store":
            failing_write = patch.object(bulk_writes, "insert_each", side_effect=once, wraps=write)
            stack.enter_context(failing_write)
        yield


def hints(are_lost):
    return patch.object(stream, "offer_all") if are_lost else ExitStack()
