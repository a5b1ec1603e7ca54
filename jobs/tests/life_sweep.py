"""Steps of Redis, of time, and of the sweep in the life of a job."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from jobs.models import Callback, Job, Status
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.recovery import sweep, takeover
from jobs.tests.life_steps import FAULTS, NUMBERS, TERMS, nth, step
from jobs.tests.life_worker import failing, writes_in_one_commit

MAX_SECONDS = 4000  # longer than any deadline
SWEEPS = [
    "resolve_overdue_jobs",
    "take_over_overdue_calls",
    "requeue_lost_entries",
    "correct_in_flight_sets",
    "enqueue_due_jobs",
]


class Sweep:
    """Steps of the life machine."""

    @step(1)
    def flush(self):
        self.redis.flushall()
        self.excuse(self.life.jobs)

    @step(2, seconds=st.sampled_from([20, 100, MAX_SECONDS]))
    def time_passes(self, seconds):
        self.life.clock += seconds
        past, entries = timedelta(seconds=seconds), self.entries()
        for job in Job.objects.all():
            # A job that has its entry stays behind the head of its stream, whatever the time.
            queued_at = [] if job.pk in entries else ["queued_at"]
            names = ["not_before", "deadline_at", "expires_at", "started_at", *queued_at]
            earlier = {name: getattr(job, name) - past for name in names if getattr(job, name)}
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
        """Make the sweep add entries although none was lost, so that a job can have several."""
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
        """Jobs were taken over. Without a common commit, a fault leaves their rows moved and their
        attempts unwritten.
        """
        if fault == "store" and writes_in_one_commit():
            return
        for job in held:
            self.life.take_over(job)
            if fault == "store":
                del job.history[job.attempt]
        moved = [job_id for job_id, job in self.life.jobs.items() if job in held]
        self.excuse(moved if fault else [])

    @step(1)
    def look_for_the_dead(self):
        for worker in self.workers:
            worker.heartbeat.send()
        known = set(self.redis.zrange(HEARTBEATS, 0, -1))
        silent = {zombie.name for zombie in self.zombies} & known
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
            case "enqueue_due_jobs":
                self.life.enqueue_due(due)
            case "resolve_overdue_jobs":
                self.life.expire()
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
