"""Invariants that must hold after every step in the life of a job."""

from hypothesis.stateful import invariant

from jobs.models import FINAL, QUEUES, Attempt, Callback, Job
from jobs.queue.keys import Keys
from jobs.tests.life_steps import TERMS

LOST_SECONDS = 50  # longer than any grace period of the sweep


class Checks:
    """Compares rows and entries with the model."""

    def entries(self):
        """Return the jobs that have an entry."""
        places = [(slug, name) for slug in TERMS for name in QUEUES]
        pipeline = self.redis.pipeline(transaction=False)
        for slug, name in places:
            pipeline.xrange(getattr(Keys(slug), name.value))
        return {fields["job"] for rows in pipeline.execute() for _, fields in rows}

    @invariant()
    def invariants_hold(self):
        rows = {job.pk: job for job in Job.objects.all()}
        attempts, callbacks = list(Attempt.objects.all()), list(Callback.objects.all())
        self.rows_agree_with_the_model(rows)
        self.history_agrees_with_the_model(attempts, callbacks)
        self.counters_only_rise(rows)
        self.a_run_ends_once(attempts, callbacks)
        self.queued_jobs_have_entries()

    def rows_agree_with_the_model(self, rows):
        assert rows.keys() == self.life.jobs.keys()
        for job_id, plain in self.life.jobs.items():
            job = rows[job_id]
            numbers = (job.status, job.attempt, job.run, job.failures, job.crashes)
            assert numbers == plain.numbers
            answer = (job.outcome, job.result, job.error_code)
            assert answer == (plain.outcome, plain.result, plain.error)
            assert (job.not_before is not None) is plain.is_delayed

    def history_agrees_with_the_model(self, attempts, callbacks):
        ends = sorted(
            (job_id, *end) for job_id, job in self.life.jobs.items() for end in job.history.items()
        )
        assert sorted((row.job, row.number, row.outcome) for row in attempts) == ends
        verdicts = sorted(
            (*key[:3], callback.verdict) for key, callback in self.life.callbacks.items()
        )
        assert sorted((row.job, row.run, row.attempt, row.verdict) for row in callbacks) == verdicts

    def counters_only_rise(self, rows):
        for job_id, job in rows.items():
            run, attempt, status = self.last.get(job_id, (1, 0, ""))
            assert job.run >= run
            assert job.attempt >= attempt
            assert status not in FINAL or job.status == status or self.may_leave_final
            self.last[job_id] = (job.run, job.attempt, job.status)
        self.may_leave_final = False

    def a_run_ends_once(self, attempts, callbacks):
        ends = [(row.job, row.run) for row in callbacks if row.verdict == "applied"]
        for row in attempts:
            is_end = row.outcome in ("found", "no_data")
            if is_end and row.number not in self.life.jobs[row.job].overtaken:
                ends.append((row.job, row.run))
        assert len(ends) == len(set(ends))

    def queued_jobs_have_entries(self):
        entries = self.entries()
        for job_id, plain in self.life.jobs.items():
            # The entry of an expired job is dropped when it is taken, perhaps before the sweep.
            has_expired = plain.has_expired(self.life.clock)
            if job_id in entries or not plain.is_in_stream or has_expired:
                self.excused.pop(job_id, None)
            else:
                assert job_id in self.excused

    def nothing_is_lost(self):
        entries = self.entries()
        for job_id, since in self.excused.items():
            plain = self.life.jobs[job_id]
            has_slot = self.redis.zscore(Keys(plain.vendor).in_flight, job_id) is not None
            is_fresh = self.life.clock < since + LOST_SECONDS
            assert job_id in entries or is_fresh or has_slot or not plain.is_in_stream
