"""What must hold after every step in the life of a job."""

from hypothesis.stateful import invariant

from jobs.models import FINAL, Attempt, Callback, Job, Stream
from jobs.queue.keys import Keys
from jobs.tests.life_steps import TERMS

LOST_SECONDS = 50  # longer than any grace of the sweep


class Checks:
    """What the life machine holds against its model."""

    def entries(self):
        """The jobs that have an entry."""
        places = [(slug, name) for slug in TERMS for name in Stream]
        pipeline = self.redis.pipeline(transaction=False)
        for slug, name in places:
            pipeline.xrange(getattr(Keys(slug), name.value))
        return {fields["job"] for rows in pipeline.execute() for _, fields in rows}

    @invariant()
    def what_must_hold(self):
        jobs, tries, callbacks = Job.objects.all(), Attempt.objects.all(), Callback.objects.all()
        rows, tries, callbacks = {job.pk: job for job in jobs}, list(tries), list(callbacks)
        self.rows_agree_with_the_model(rows)
        self.history_agrees_with_the_model(tries, callbacks)
        self.the_past_stays(rows)
        self.a_run_ends_once(tries, callbacks)
        self.who_is_queued_has_an_entry()

    def rows_agree_with_the_model(self, rows):
        assert rows.keys() == self.life.jobs.keys()
        for job_id, plain in self.life.jobs.items():
            job = rows[job_id]
            held = (
                job.status,
                job.attempt,
                job.run,
                job.failures,
                job.crashes,
                job.result,
                job.error_code,
            )
            assert held == (*plain.numbers, plain.result, plain.error)
            assert (job.not_before is not None) is plain.is_held_back

    def history_agrees_with_the_model(self, tries, callbacks):
        ends = sorted(
            (job_id, *end) for job_id, job in self.life.jobs.items() for end in job.history.items()
        )
        assert sorted((row.job, row.number, row.outcome) for row in tries) == ends
        verdicts = sorted(
            (*key[:3], callback.verdict) for key, callback in self.life.callbacks.items()
        )
        assert sorted((row.job, row.run, row.attempt, row.verdict) for row in callbacks) == verdicts

    def the_past_stays(self, rows):
        for job_id, job in rows.items():
            run, attempt, status = self.last.get(job_id, (1, 0, ""))
            assert job.run >= run
            assert job.attempt >= attempt
            assert status not in FINAL or job.status == status or self.may_leave_final
            self.last[job_id] = (job.run, job.attempt, job.status)
        self.may_leave_final = False

    def a_run_ends_once(self, tries, callbacks):
        ends = [(row.job, row.run) for row in callbacks if row.verdict == "applied"]
        for row in tries:
            if row.outcome == "done" and row.number not in self.life.jobs[row.job].overtaken:
                ends.append((row.job, row.run))
        assert len(ends) == len(set(ends))

    def who_is_queued_has_an_entry(self):
        entries = self.entries()
        for job_id, plain in self.life.jobs.items():
            if job_id in entries or not plain.is_in_stream:
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
