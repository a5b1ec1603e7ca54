"""A vendor that is polled, and a worker without threads that polls it."""

from datetime import timedelta

import pytest

from jobs.models import Attempt, Job, Kind, Status
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.take import take
from jobs.recovery.polls import add_due_polls
from jobs.recovery.rebuild import rebuild
from jobs.worker.claim import claim
from jobs.worker.execute import execute
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.settle import settle
from vendors.base import Adapter
from vendors.catalogue import catalogue

POLLED = {"poll": {"every": "10s", "give_up": "1h"}}
MINUTE = timedelta(minutes=1)


class Scripted(Adapter):
    """Answers each poll with the next of `answers`, then with the last."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.polls = []

    def poll(self, call):
        self.polls.append(call)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def polled(make_vendor, monkeypatch):
    """Make a vendor that gives these answers when it is polled. Returns its adapter."""

    def make(*answers, definition=POLLED, **fields):
        vendor = make_vendor(definition=definition, **fields)
        adapter = Scripted(*answers)
        monkeypatch.setattr(catalogue, "adapter", lambda _: adapter)
        adapter.vendor = vendor
        return adapter

    return make


class PollingWorker:
    def __init__(self, name="w"):
        self.name = name
        self.held = HeldEntries(name, Heartbeat(name))
        self.recorder = Recorder()

    def take(self, slug="acme", want=50):
        vendor = catalogue.get(slug)
        taken = take(vendor, self.name, want)
        if taken.stale:
            rebuild([vendor])
            taken = take(vendor, self.name, want)
        self.held.add(taken.entries)
        return taken

    def claim(self, slug="acme"):
        """Take and claim what is due."""
        return claim([self.take(slug)], self.name, self.held)

    def finish(self, executions):
        self.recorder.record(executions)
        settle(executions, self.held)

    def poll(self, slug="acme"):
        """Poll what is due, from the sweep to settle. Returns the executions."""
        add_due_polls()
        return self.work(slug)

    def work(self, slug="acme"):
        """Call and poll what is in line. Returns the executions."""
        executions = self.claim(slug)
        for execution in executions:
            execute(execution)
        self.finish(executions)
        return executions


def waiting(make_job, *, due=-MINUTE, deadline=MINUTE, **fields):
    """Make a job that waits to be polled; `due` and `deadline` from now."""
    at = redis_clock.now()
    dates = {"next_poll_at": at + due, "deadline_at": at + deadline, "started_at": at - MINUTE}
    fields = {"attempt": 1, "vendor_reference": "ref-1", **dates, **fields}
    return make_job(status=Status.WAITING, **fields)


def polls_of(job):
    return list(Attempt.objects.filter(job=job.pk, kind=Kind.POLL).order_by("started_at"))


def row(job):
    return Job.objects.get(pk=job.pk)
