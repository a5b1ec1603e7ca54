"""Steps of workers in the life of a job."""

from unittest.mock import patch

import pytest
from django.db import OperationalError
from hypothesis import strategies as st

from jobs import retry
from jobs.lifecycle import attempts
from jobs.queue.health import breaker
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.take import take
from jobs.recovery import rebuild, takeover
from jobs.tests.life_steps import (
    AFTER_TAKE,
    FAULTS,
    NUMBERS,
    RARELY,
    SOME_ANSWERS,
    TERMS,
    nth,
    step,
)
from jobs.tests.life_values import ERRORS, Weather
from jobs.tests.life_worker import failing_once, real_answer
from vendors import pauses
from vendors.models import Vendor


def workers_with(what, workers):
    return [worker for worker in workers if getattr(worker, what)]


def weather_of(standing):
    return Weather(standing.in_outage, standing.denied_jobs >= breaker.DENIED_JOBS)


class Workers:
    """Steps of the life machine."""

    @step(
        8,
        when=lambda self: self.life.in_stream(),
        n=NUMBERS,
        of=NUMBERS,
        want=st.integers(1, 3),
        then=AFTER_TAKE,
    )
    def take(self, n, of, want, then):
        worker, slug = nth(self.workers, n), nth(self.life.in_stream(), of).vendor
        if self.take_some(worker, slug, want, then == "the reply is lost") and then == "claim":
            self.claim_some(worker)

    def take_some(self, worker, slug, want, reply_is_lost=False):
        self.end_pauses(slug)
        vendor = Vendor.objects.get(slug=slug)
        taken = take(vendor, worker.name, want)
        if taken.stale:
            rebuild.rebuild([vendor])
            taken = take(vendor, worker.name, want)
        if taken.entries and not reply_is_lost:
            worker.held.add(taken.entries)
            worker.taken.append(taken)
        return bool(taken.entries)

    def end_pauses(self, slug):
        """End the vendor's own pause and that of its breaker, however long they are."""
        pauses.resume(slug)
        self.redis.delete(Keys(slug).pause)
        if self.redis.hexists(Keys(slug).state, "open_until"):
            self.redis.hset(Keys(slug).state, "open_until", 1)

    @step(
        10,
        when=lambda self: workers_with("taken", self.workers + self.zombies),
        n=NUMBERS,
        answer_is_lost=RARELY,
    )
    def claim(self, n, answer_is_lost):
        self.claim_some(nth(workers_with("taken", self.workers + self.zombies), n), answer_is_lost)

    def claim_some(self, worker, answer_is_lost=False):
        taken = worker.taken.pop(0)
        won = self.life.claim([entry.job_id for entry in taken.entries], worker.name)
        if answer_is_lost:
            read_fails = patch.object(attempts, "claimed", side_effect=OperationalError)
            with read_fails, pytest.raises(OperationalError):
                worker.claim(taken)
            worker.suspect += [(job_id, self.life.jobs[job_id].attempt) for job_id in won]
        else:
            executions = worker.claim(taken)
            assert [execution.job.pk for execution in executions] == won
            worker.claimed += executions

    @step(
        12,
        when=lambda self: workers_with("claimed", self.workers),
        n=NUMBERS,
        names=SOME_ANSWERS,
        fault=FAULTS,
    )
    def record(self, n, names, fault):
        self.record_some(nth(workers_with("claimed", self.workers), n), names, fault)

    @step(4, when=lambda self: workers_with("claimed", self.zombies), n=NUMBERS, names=SOME_ANSWERS)
    def come_back_with_answers(self, n, names):
        self.record_some(nth(workers_with("claimed", self.zombies), n), names)

    def record_some(self, worker, names, fault=""):
        executions, worker.claimed = worker.claimed[: len(names)], worker.claimed[len(names) :]
        results = [{"answer": f"{one.job.run}.{one.job.attempt}"} for one in executions]
        for execution, name, result in zip(executions, names, results, strict=False):
            execution.answer = real_answer(name, result)
        with failing_once(fault), patch.object(retry, "decide", wraps=retry.decide) as decide:
            worker.record_and_settle(executions)
        # Standings have tests of their own; this one checks what follows from them.
        standings = [call.kwargs["standing"] for call in decide.call_args_list]
        for execution, name, result in zip(executions, names, results, strict=False):
            weather = weather_of(standings.pop(0)) if name in ERRORS else Weather(False, False)
            job = execution.job
            self.life.answer(job.pk, job.attempt, name, result, weather)
        self.excuse([execution.job.pk for execution in executions] if fault else [])

    @step(1, n=NUMBERS)
    def reconcile(self, n):
        worker = nth(self.workers, n)
        worker.held.expect_unknown_entries()
        worker.held.reconcile(list(TERMS))
        for job_id, attempt in worker.suspect:
            self.life.release(job_id, attempt)
        worker.suspect = []

    @step(1, n=NUMBERS)
    def stop(self, n):
        worker = self.workers.pop(n % len(self.workers))
        self.workers.append(self.new_worker())
        takeover.interrupt(worker.name, list(TERMS))
        self.redis.zrem(HEARTBEATS, worker.name)
        for job in self.life.held_by(worker.name):
            self.life.interrupt(job)

    @step(3, n=NUMBERS)
    def crash(self, n):
        self.zombies.append(self.workers.pop(n % len(self.workers)))
        self.workers.append(self.new_worker())
