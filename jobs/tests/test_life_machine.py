"""The life of a job as a state machine: any steps in any order, with crashes between any two,
compared with a plain model.

Workers are real except for their threads: their steps are taken one at a time. Time passes by
moving the times in the rows into the past. LIFE_MACHINE_SEEDS="100 200" runs longer, with the seeds
from 100 to 199.
"""

import os
import sys
from types import SimpleNamespace

import pytest
from django.db import connection
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from harness.limits import restore_own
from jobs.models import FINAL, Attempt, Callback, Job
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.recovery import rebuild, sweep
from jobs.tests.life_checks import Checks
from jobs.tests.life_clients import Clients
from jobs.tests.life_model import Life
from jobs.tests.life_steps import STEPS, TERMS
from jobs.tests.life_sweep import MAX_SECONDS, SWEEPS, Sweep
from jobs.tests.life_worker import LifeWorker
from jobs.tests.life_workers import Workers
from jobs.worker import record

# Some ten seconds each, on MongoDB twenty.
USUAL_SEEDS = "0 3" if connection.vendor == "sqlite" else "0 1"
SEEDS = range(*map(int, os.environ.get("LIFE_MACHINE_SEEDS", USUAL_SEEDS).split()))
# Of each seed: from the eleventh on, Hypothesis mostly repeats earlier ones with small changes.
EXAMPLES = 10


class LifeMachine(Clients, Workers, Sweep, Checks, RuleBasedStateMachine):
    def __init__(self, redis_client, ended_well):
        super().__init__()
        self.ended_well = ended_well
        self.handled = sys.exc_info()[1]
        self.redis = redis_client
        self.redis.flushall()
        for rows in (Job, Attempt, Callback):
            rows.objects.all().delete()
        for slug in TERMS:
            restore_own(slug, [], [], [])
        self.life = Life()
        self.born = 0
        self.workers = [self.new_worker(), self.new_worker()]
        self.zombies = []  # crashed or frozen: they may go on later, or never
        self.excused = {}  # queued jobs that may have lost their entry, and since when
        self.last = {}  # run, attempt and status of each job
        self.may_leave_final = False

    def new_worker(self):
        self.born += 1
        return LifeWorker(self.born)

    def excuse(self, job_ids):
        self.excused.update(dict.fromkeys(job_ids, self.life.clock))

    @rule(data=st.data())
    def go_on(self, data):
        possible = sorted((one for one in STEPS if one.when(self)), key=lambda one: -one.weight)
        name = data.draw(st.sampled_from([one.name for one in possible for _ in range(one.weight)]))
        [arguments] = [one.arguments for one in possible if one.name == name]
        getattr(self, name)(**data.draw(st.fixed_dictionaries(arguments)))

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
        self.invariants_hold()
        assert {job.status for job in Job.objects.all()} <= set(FINAL)
        assert not Callback.objects.filter(verdict="").exists()
        self.time_passes(MAX_SECONDS)
        sweep.correct_in_flight_sets()
        for keys in map(Keys, TERMS):
            assert self.redis.zcard(keys.in_flight) == 0
            for stream in (keys.retries, keys.jobs):
                assert self.redis.xlen(stream) == 0
                assert self.redis.xpending(stream, "workers")["pending"] == 0
        assert set(self.redis.zrange(HEARTBEATS, 0, -1)) == {self.workers[0].name}
        self.ended_well.append(self)

    def work_well(self, worker):
        for slug in TERMS:
            while self.take_some(worker, slug, 3):
                self.claim_some(worker)
                if worker.claimed:
                    self.record_some(worker, ["found"] * 3)


@pytest.fixture
def quick_store(transactional_db):
    """A store whose commits do not wait for the disk."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.cursor().execute("PRAGMA synchronous = OFF")
    yield
    connection.cursor().execute("PRAGMA synchronous = FULL")


@pytest.mark.timeout(600)  # finding the shortest way to a failure takes a while
@pytest.mark.usefixtures("quick_store")
@pytest.mark.parametrize("number", SEEDS)
def test_the_life_of_a_job_is_as_documented(redis_client, make_vendor, monkeypatch, number):
    for slug, terms in TERMS.items():
        cap = 3 if slug == "acme" else None
        make_vendor(slug, adapter="adapters.life.Reader", max_in_flight=cap, **vars(terms))
    # Delays last until the machine lets time pass.
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
