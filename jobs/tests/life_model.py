"""The life of a job as docs/lifecycle.md describes it, in plain Python: no store, no Redis, none of
the code under test.
"""

from jobs.tests.life_values import ERRORS, Key, PlainCallback, PlainJob, Weather

CALL_SECONDS = 30 + 60  # the vendor's timeout and the margin
CALLBACK_SECONDS = 3600
MAX_CRASHES = 3
UNKNOWN = {"timed out", "garbled"}  # the vendor may have done the work
OUTAGES = {"down", "timed out"}
THROTTLED = {"throttled", "throttled for long"}
PERMANENT = {"refused", "blocked"}


class Life:
    """All jobs and callbacks, with a clock."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.jobs: dict[str, PlainJob] = {}
        self.callbacks: dict[Key, PlainCallback] = {}

    def claim(self, job_ids: list[str], worker: str) -> list[str]:
        jobs = {job_id: self.jobs[job_id] for job_id in job_ids}
        won = [
            job_id
            for job_id, job in jobs.items()
            if job.is_in_stream and not job.has_expired(self.clock)
        ]
        for job in map(self.jobs.__getitem__, won):
            job.status, job.holder, job.deadline = "processing", worker, self.clock + CALL_SECONDS
            job.attempt += 1
            job.attempts.append((job.run, job.attempt))
        return won

    def release(self, job_id: str, attempt: int) -> None:
        """No call was made, so no attempt has ended."""
        job = self.jobs[job_id]
        if job.is_making(attempt):
            expires = job.expires
            job.queue()
            job.expires = expires

    def answer(
        self, job_id: str, attempt: int, answer: str, result: dict[str, str], weather: Weather
    ) -> None:
        if answer == "not called":
            return self.release(job_id, attempt)
        job = self.jobs[job_id]
        is_unknown = answer in UNKNOWN and not job.terms.repeat_unknown
        outcome = "outcome_unknown" if is_unknown else ERRORS.get(answer, answer)
        if not job.is_making(attempt):
            # It changes nothing, but is kept if the attempt has no outcome yet.
            job.history.setdefault(attempt, outcome)
            job.overtaken.add(attempt)
            return None
        job.history[attempt] = outcome
        if answer in ("found", "no_data"):
            job.complete(result if answer == "found" else None)
        elif answer == "pending":
            job.status, job.deadline = "waiting", self.clock + CALLBACK_SECONDS
        elif is_unknown or answer in PERMANENT:
            job.fail(outcome)
        else:
            self._retry_later(job, answer, weather)
        return None

    def _retry_later(self, job: PlainJob, answer: str, weather: Weather) -> None:
        if answer == "unpaid" or (answer == "denied" and weather.denies_all):
            job.queue()
        elif answer in THROTTLED or (answer in OUTAGES and weather.is_down):
            job.queue(delayed=True)
        elif job.failures + 1 == job.terms.max_attempts:
            job.fail(ERRORS[answer])
        else:
            job.failures += 1
            job.queue(delayed=True)

    def take_over(self, job: PlainJob) -> None:
        if not job.terms.repeat_unknown:
            self._end_attempt(job, "outcome_unknown")
            job.fail("outcome_unknown")
        elif job.crashes == MAX_CRASHES:
            self._end_attempt(job, "worker_lost")
            job.fail("worker_lost")
        else:
            self._end_attempt(job, "worker_lost")
            job.crashes += 1

    def interrupt(self, job: PlainJob) -> None:
        self._end_attempt(job, "worker_stopped" if job.terms.repeat_unknown else "outcome_unknown")
        if not job.terms.repeat_unknown:
            job.fail("outcome_unknown")

    def _end_attempt(self, job: PlainJob, outcome: str) -> None:
        assert job.attempt not in job.history
        job.history[job.attempt] = outcome
        job.queue()

    def held_by(self, worker: str) -> list[PlainJob]:
        return [
            job for job in self.jobs.values() if (job.status, job.holder) == ("processing", worker)
        ]

    def overdue_calls(self) -> list[PlainJob]:
        return [
            job
            for job in self.jobs.values()
            if job.status == "processing" and job.deadline < self.clock
        ]

    def enqueue_due(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            assert self.jobs[job_id].is_delayed
            self.jobs[job_id].is_delayed = False

    def expire(self) -> None:
        for job in self.jobs.values():
            if job.has_expired(self.clock):
                job.fail("expired")

    def callbacks_overdue(self) -> None:
        overdue = [
            job_id for job_id in self.found("waiting") if self.jobs[job_id].deadline < self.clock
        ]
        for key in self.callbacks:
            if key.job in overdue:
                self.apply(key)  # if it was stored in time it counts, though its receiver crashed
        for job_id in overdue:
            self._overdue(self.jobs[job_id])

    def _overdue(self, job: PlainJob) -> None:
        if job.status != "waiting":
            return
        if job.terms.repeat_overdue and job.failures + 1 < job.terms.max_attempts:
            job.failures += 1
            job.queue()
        else:
            job.fail("callback_overdue")

    def cancel(self, job_id: str, run: int) -> bool:
        job = self.jobs[job_id]
        possible = job.run == run and job.status in ("queued", "waiting")
        if possible:
            job.status, job.is_delayed = "cancelled", False
        return possible

    def retry(self, job_id: str, run: int) -> bool:
        job = self.jobs[job_id]
        possible = job.run == run and job.status in ("failed", "cancelled")
        if possible:
            job.run, job.failures, job.crashes, job.result, job.error = run + 1, 0, 0, None, ""
            job.queue()
        return possible

    def found(self, *statuses: str) -> list[str]:
        return [job_id for job_id, job in self.jobs.items() if job.status in statuses]

    def in_stream(self) -> list[PlainJob]:
        return [job for job in self.jobs.values() if job.is_in_stream]

    def attempts(self) -> list[tuple[str, int, int]]:
        return [(job_id, *attempt) for job_id, job in self.jobs.items() for attempt in job.attempts]

    def unjudged(self, seconds: float) -> list[Key]:
        """Callbacks that were stored longer ago and not applied, the oldest first."""
        return [
            key
            for key, one in self.callbacks.items()
            if not one.verdict and one.received_at + seconds < self.clock
        ]

    def receive(self, key: Key) -> None:
        self.callbacks.setdefault(key, PlainCallback(self.clock))

    def apply(self, key: Key) -> None:
        callback, job = self.callbacks[key], self.jobs[key.job]
        if key.text == "odd":
            callback.verdict = "unreadable"
        elif not callback.verdict:
            happened = (
                callback.has_moved_its_job
                if job.run == key.run and not job.is_open
                else self._end(job, key)
            )
            callback.verdict = "applied" if happened else "late"

    def apply_and_die(self, key: Key, *, in_one_commit: bool) -> None:
        """The receiver crashes between writing the job and the callback. If both are in one commit,
        neither is written.
        """
        callback = self.callbacks[key]
        if not (
            key.text == "odd" or callback.verdict or in_one_commit or callback.has_moved_its_job
        ):
            callback.has_moved_its_job = self._end(self.jobs[key.job], key)

    def _end(self, job: PlainJob, key: Key) -> bool:
        """A result for any attempt of the run completes the job. An error fails only the attempt
        that it is for, while that is the current one.
        """
        if job.run != key.run or not job.is_open:
            return False
        if key.text != "bad":
            job.complete(key.result)
            return True
        is_its_own = job.attempt == key.attempt and job.status in ("processing", "waiting")
        if is_its_own:
            job.fail("invalid_input")
        return is_its_own

    def apply_late(self, key: Key) -> bool:
        callback, job = self.callbacks[key], self.jobs[key.job]
        is_wanted = callback.verdict == "late" and key.text != "bad" and job.run == key.run
        possible = is_wanted and (job.status, job.error) == ("failed", "callback_overdue")
        if possible:
            job.complete(key.result)
            callback.verdict = "applied"
        return possible
