"""The life of a job as a state machine: any steps in any order, with crashes between any two,
against a plain model.

Workers are real but for their threads: their steps are taken one at a time. Time passes by moving
what the rows say into the past. LIFE_MACHINE_SEEDS="100 200" makes a longer run, with steps from
those seeds.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from jobs import lifecycle, retry
from jobs.models import FINAL, Attempt, Callback, Job, Status
from jobs.queue import breaker, limiter
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.take import take
from jobs.recovery import rebuild, sweep, takeover
from jobs.tests.life_checks import Checks
from jobs.tests.life_clients import Clients
from jobs.tests.life_model import ERRORS, Life, Weather
from jobs.tests.life_steps import (
    AFTER_TAKE,
    FAULTS,
    NUMBERS,
    RARELY,
    SOME_ANSWERS,
    STEPS,
    TERMS,
    nth,
    step,
)
from jobs.tests.life_worker import Worker, failing, failing_once, real_answer, writes_in_one_commit
from jobs.worker import record
from jobs.worker.execute import Ended
from vendors import pauses
from vendors.models import Vendor

USUAL_SEEDS = (
    "0 3" if connection.vendor == "sqlite" else "0 1"
)  # some ten seconds each, on MongoDB twenty
SEEDS = range(*map(int, os.environ.get("LIFE_MACHINE_SEEDS", USUAL_SEEDS).split()))
# of each seed: from the eleventh on, Hypothesis mostly repeats what it has with small changes
EXAMPLES = 10
MAX_SECONDS = 4000  # longer than any deadline
SWEEPS = [
    "resolve_overdue_callbacks",
    "take_over_overdue_calls",
    "requeue_lost_entries",
    "correct_in_flight_sets",
    "enqueue_due_retries",
]


def who_has(what, workers):
    return [worker for worker in workers if getattr(worker, what)]


def weather_of(standing):
    return Weather(standing.in_outage, standing.denied_jobs >= breaker.DENIED_JOBS)


class LifeMachine(Clients, Checks, RuleBasedStateMachine):
    def __init__(self, redis_client, ended_well):
        super().__init__()
        self.ended_well = ended_well
        self.handled = sys.exc_info()[1]
        self.redis = redis_client
        self.redis.flushall()
        for rows in (Job, Attempt, Callback):
            rows.objects.all().delete()
        for slug in TERMS:
            limiter.rebuild(slug, [], [], [])
        self.life = Life()
        self.born = 0
        self.workers = [self.new_worker(), self.new_worker()]
        self.zombies = []  # crashed or frozen: they go on some day, or never
        self.excused = {}  # queued jobs that may have lost their entry, and since when
        self.last = {}  # run, attempt and status of each job
        self.may_leave_final = False

    def new_worker(self):
        self.born += 1
        return Worker(self.born)

    def excuse(self, job_ids):
        self.excused.update(dict.fromkeys(job_ids, self.life.clock))

    @rule(data=st.data())
    def go_on(self, data):
        possible = sorted((one for one in STEPS if one.when(self)), key=lambda one: -one.weight)
        name = data.draw(st.sampled_from([one.name for one in possible for _ in range(one.weight)]))
        [arguments] = [one.arguments for one in possible if one.name == name]
        getattr(self, name)(**data.draw(st.fixed_dictionaries(arguments)))

    # Workers.

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
        if self.take_some(worker, slug, want, then == "the reply is lost") and then == "start":
            self.start_some(worker)

    def take_some(self, worker, slug, want, reply_is_lost=False):
        self.end_pauses(slug)
        vendor = Vendor.objects.get(slug=slug)
        taken = take(vendor, worker.name, want)
        if taken.stale:
            rebuild.rebuild([vendor])
            taken = take(vendor, worker.name, want)
        if taken.entries and not reply_is_lost:
            worker.hands.hold(taken.entries)
            worker.taken.append(taken)
        return bool(taken.entries)

    def end_pauses(self, slug):
        """However long a vendor's own pause and its breaker's are, they are over before anybody
        takes.
        """
        pauses.resume(slug)
        self.redis.delete(Keys(slug).pause)
        if self.redis.hexists(Keys(slug).state, "open_until"):
            self.redis.hset(Keys(slug).state, "open_until", 1)

    @step(
        10,
        when=lambda self: who_has("taken", self.workers + self.zombies),
        n=NUMBERS,
        answer_is_lost=RARELY,
    )
    def start(self, n, answer_is_lost):
        self.start_some(nth(who_has("taken", self.workers + self.zombies), n), answer_is_lost)

    def start_some(self, worker, answer_is_lost=False):
        taken = worker.taken.pop(0)
        won = self.life.start([entry.job_id for entry in taken.entries], worker.name)
        if answer_is_lost:
            with (
                patch.object(lifecycle, "started", side_effect=OperationalError),
                pytest.raises(OperationalError),
            ):
                worker.starter.start([taken])
            worker.stranded += [(job_id, self.life.jobs[job_id].attempt) for job_id in won]
        else:
            started = worker.starter.start([taken])
            assert [item.job.pk for item in started] == won
            worker.started += started

    @step(
        12,
        when=lambda self: who_has("started", self.workers),
        n=NUMBERS,
        names=SOME_ANSWERS,
        fault=FAULTS,
    )
    def record(self, n, names, fault):
        self.record_some(nth(who_has("started", self.workers), n), names, fault)

    @step(4, when=lambda self: who_has("started", self.zombies), n=NUMBERS, names=SOME_ANSWERS)
    def come_back_with_answers(self, n, names):
        self.record_some(nth(who_has("started", self.zombies), n), names)

    def record_some(self, worker, names, fault=""):
        started, worker.started = worker.started[: len(names)], worker.started[len(names) :]
        results = [{"answer": f"{item.job.run}.{item.job.attempt}"} for item in started]
        answers = [real_answer(name, result) for name, result in zip(names, results, strict=False)]
        with failing_once(fault), patch.object(retry, "decide", wraps=retry.decide) as decide:
            worker.recorder.record([Ended(*pair) for pair in zip(started, answers, strict=True)])
        # How the vendor stands is for the tests of breakers; what follows from it is not.
        standings = [call.kwargs["standing"] for call in decide.call_args_list]
        for item, name, result in zip(started, names, results, strict=False):
            weather = weather_of(standings.pop(0)) if name in ERRORS else Weather(False, False)
            self.life.answer(item.job.pk, item.job.attempt, name, result, weather)
        self.excuse([item.job.pk for item in started] if fault else [])

    @step(1, n=NUMBERS)
    def tidy(self, n):
        worker = nth(self.workers, n)
        worker.hands.doubt()
        worker.hands.tidy(list(TERMS))
        for job_id, attempt in worker.stranded:
            self.life.hand_back(job_id, attempt)
        worker.stranded = []

    @step(1, n=NUMBERS)
    def stop(self, n):
        worker = self.workers.pop(n % len(self.workers))
        self.workers.append(self.new_worker())
        takeover.interrupt(worker.name, list(TERMS))
        self.redis.zrem(HEARTBEATS, worker.name)
        for job in self.life.held_by(worker.name):
            self.life.let_go(job)

    @step(3, n=NUMBERS)
    def crash(self, n):
        self.zombies.append(self.workers.pop(n % len(self.workers)))
        self.workers.append(self.new_worker())

    # Redis, and the sweep.

    @step(1)
    def flush(self):
        self.redis.flushall()
        self.excuse(self.life.jobs)

    @step(2, seconds=st.sampled_from([20, 100, MAX_SECONDS]))
    def time_passes(self, seconds):
        self.life.clock += seconds
        past, entries = timedelta(seconds=seconds), self.entries()
        for job in Job.objects.all():
            # A job that has its entry is behind its stream's head, whatever the time.
            moves = [
                "not_before",
                "deadline_at",
                "started_at",
                *([] if job.pk in entries else ["queued_at"]),
            ]
            earlier = {name: getattr(job, name) - past for name in moves if getattr(job, name)}
            Job.objects.filter(pk=job.pk).update(**earlier)
        for callback in Callback.objects.all():
            Callback.objects.filter(pk=callback.pk).update(received_at=callback.received_at - past)
        for keys in map(Keys, TERMS):
            for job_id in self.redis.zrange(keys.in_flight, 0, -1):
                self.redis.zincrby(keys.in_flight, -1000 * seconds, job_id)
            if self.redis.hexists(keys.state, "probe_until"):
                self.redis.hset(keys.state, "probe_until", 1)

    @step(1)
    def clocks_disagree(self):
        """Then the sweep adds entries that were never lost: a job can have several."""
        Job.objects.update(queued_at=datetime.now(UTC) - timedelta(days=1))

    @step(4, when=lambda self: self.zombies, n=NUMBERS, fault=FAULTS)
    def take_over(self, n, fault):
        self.take_over_from(nth(self.zombies, n).name, fault)

    def take_over_from(self, name, fault=""):
        held = self.life.held_by(name)
        with failing(fault):
            assert takeover.take_over(name)
        self.moved(held, fault)

    def moved(self, held, fault):
        """Jobs were taken over; without a single commit, a fault leaves their rows moved and their
        tries unwritten.
        """
        if fault == "store" and writes_in_one_commit():
            return
        for job in held:
            self.life.take_over(job)
            if fault == "store":
                del job.history[job.attempt]
        self.excuse(
            [job_id for job_id, job in self.life.jobs.items() if job in held] if fault else []
        )

    @step(1)
    def look_for_the_dead(self):
        for worker in self.workers:
            worker.beat.send()
        silent = {zombie.name for zombie in self.zombies} & set(
            self.redis.zrange(HEARTBEATS, 0, -1)
        )
        self.redis.zadd(HEARTBEATS, dict.fromkeys(silent, 1) or {"nobody": 1}, xx=True)
        suspects = takeover.FailureDetector()
        assert suspects.check(now=0.0) == []
        dead = suspects.check(now=2.0)
        assert set(dead) == silent
        for name in dead:
            self.take_over_from(name)

    @step(3, name=st.sampled_from(SWEEPS), fault=FAULTS)
    def sweep(self, name, fault):
        rows = Job.objects.filter(status=Status.QUEUED, not_before__lte=datetime.now(UTC))
        due = list(rows.values_list("pk", flat=True))
        with failing(fault):
            getattr(sweep, name)()
        match name:
            case "enqueue_due_retries":
                self.life.release(due)
            case "resolve_overdue_callbacks":
                self.life.callbacks_overdue()
            case "take_over_overdue_calls":
                self.moved(self.life.overdue_calls(), fault)
            case "requeue_lost_entries" if not fault:
                self.nothing_is_lost()
        self.excuse(self.life.jobs if fault else [])

    @step(1, when=lambda self: self.life.callbacks)
    def apply_callbacks(self):
        sweep.apply_stored_callbacks()
        for key in self.life.unjudged(sweep.CALLBACK_GRACE.total_seconds()):
            self.life.apply(key)

    # And in the end.

    def teardown(self):
        if sys.exc_info()[1] is self.handled:  # else a step has failed already
            self.everything_ends()

    def everything_ends(self):
        while self.workers:
            self.zombies.append(self.workers.pop())
        self.workers = [self.new_worker()]
        for _ in range(2):
            self.time_passes(MAX_SECONDS)
            self.look_for_the_dead()
            for name in SWEEPS:
                self.sweep(name, "")
            self.apply_callbacks()
            self.work_well(self.workers[0])
        self.what_must_hold()
        assert {job.status for job in Job.objects.all()} <= set(FINAL)
        assert not Callback.objects.filter(verdict="").exists()
        self.time_passes(MAX_SECONDS)
        sweep.correct_in_flight_sets()
        for keys in map(Keys, TERMS):
            assert [
                self.redis.xlen(keys.retries),
                self.redis.xlen(keys.jobs),
                self.redis.zcard(keys.in_flight),
            ] == [0, 0, 0]
            assert [
                self.redis.xpending(name, "workers")["pending"]
                for name in (keys.retries, keys.jobs)
            ] == [0, 0]
        assert set(self.redis.zrange(HEARTBEATS, 0, -1)) == {self.workers[0].name}
        self.ended_well.append(self)

    def work_well(self, worker):
        for slug in TERMS:
            while self.take_some(worker, slug, 3):
                self.start_some(worker)
                if worker.started:
                    self.record_some(worker, ["done"] * 3)


@pytest.fixture
def quick_store(transactional_db):
    """A store whose commits are real but for the wait for the disk."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.cursor().execute("PRAGMA synchronous = OFF")
    yield
    connection.cursor().execute("PRAGMA synchronous = FULL")


@pytest.mark.timeout(600)  # to find the shortest way to a failure takes a while
@pytest.mark.usefixtures("quick_store")
@pytest.mark.parametrize("number", SEEDS)
def test_the_life_of_a_job_is_as_the_documents_say(redis_client, make_vendor, monkeypatch, number):
    for slug, terms in TERMS.items():
        make_vendor(
            slug,
            adapter="adapters.life.Reader",
            max_in_flight=3 if slug == "acme" else None,
            **vars(terms),
        )
    # What is held back is so until the machine says that time has passed.
    monkeypatch.setattr(record, "random", SimpleNamespace(random=lambda: 1000.0))
    monkeypatch.setattr(rebuild, "SETTLING_SECONDS", 0)
    ended_well = []
    run_state_machine_as_test(
        seed(number)(lambda: LifeMachine(redis_client, ended_well)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=60,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
    assert len(ended_well) >= EXAMPLES
