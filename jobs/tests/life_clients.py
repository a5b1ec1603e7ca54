"""Steps of clients, operators and vendors in the life of a job."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from django.db import OperationalError
from hypothesis import strategies as st

from jobs import operator_actions
from jobs.api.intake import accept
from jobs.callbacks import apply, receive
from jobs.callbacks.tokens import AttemptRef
from jobs.models import OPEN, Callback, Job
from jobs.tests.life_steps import DELAYS, LIVES, NUMBERS, RARELY, SLUGS, TERMS, TEXTS, nth, step
from jobs.tests.life_values import Key, PlainJob
from jobs.tests.life_worker import hints, writes_in_one_commit
from vendors.catalogue import catalogue

MAX_JOBS = 4


class Clients:
    """Steps of the life machine."""

    @step(
        4,
        when=lambda self: len(self.life.found(*OPEN)) < MAX_JOBS,
        slug=SLUGS,
        hint_is_lost=RARELY,
        delay=DELAYS,
        life=LIVES,
    )
    def submit(self, slug, hint_is_lost, delay, life):
        now = datetime.now(UTC)
        job = Job.new(
            vendor=slug,
            name="John Doe",
            input={"name": "John Doe"},
            not_before=now + timedelta(seconds=delay) if delay else None,
            expires_at=now + timedelta(seconds=life) if life else None,
        )
        with hints(hint_is_lost):
            assert accept(job)
        plain = PlainJob(slug, TERMS[slug], is_delayed=bool(delay))
        plain.expires = self.life.clock + life if life else None
        self.life.jobs[job.pk] = plain
        self.excuse([job.pk] if hint_is_lost else [])

    @step(1, when=lambda self: self.life.jobs, n=NUMBERS, page_is_old=RARELY)
    def cancel(self, n, page_is_old):
        job = self.shown(nth(self.life.jobs, n), page_is_old)
        assert operator_actions.cancel(job, datetime.now(UTC)) is self.life.cancel(job.pk, job.run)

    @step(
        3,
        when=lambda self: self.life.found("failed", "cancelled"),
        n=NUMBERS,
        page_is_old=RARELY,
        hint_is_lost=RARELY,
    )
    def retry(self, n, page_is_old, hint_is_lost):
        job = self.shown(nth(self.life.found("failed", "cancelled"), n), page_is_old)
        with hints(hint_is_lost):
            self.may_leave_final = operator_actions.retry(job, datetime.now(UTC))
        assert self.may_leave_final is self.life.retry(job.pk, job.run)
        self.excuse([job.pk] if hint_is_lost else [])

    def shown(self, job_id, page_is_old):
        job = Job.objects.get(pk=job_id)
        job.run -= page_is_old
        return job

    @step(
        4,
        when=lambda self: self.life.attempts(),
        n=st.integers(0, 20),
        text=TEXTS,
        end=st.sampled_from(["", "", "stored", "dies"]),
    )
    def call_back(self, n, text, end):
        key = Key(*nth(self.life.attempts(), n), text)
        body = json.dumps(key.result).encode()
        vendor, now = catalogue.get(self.life.jobs[key.job].vendor), datetime.now(UTC)
        callback = receive.store(
            vendor, key.job, AttemptRef(key.run, key.attempt), webhook_id="", body=body, now=now
        )
        self.life.receive(key)
        if end == "dies":
            with (
                patch.object(apply, "_record", side_effect=OperationalError),
                suppress(OperationalError),
            ):
                apply.apply(callback, vendor, now)
            self.life.apply_and_die(key, in_one_commit=writes_in_one_commit())
        elif not end:
            self.life.apply(key)
            assert apply.apply(callback, vendor, now) == self.life.callbacks[key].verdict

    @step(1, when=lambda self: self.life.callbacks, n=st.integers(0, 20))
    def replay(self, n):
        key = nth(self.life.callbacks, n)
        callback = next(
            row
            for row in Callback.objects.filter(job=key.job, attempt=key.attempt)
            if row.body == key.result
        )
        self.may_leave_final = apply.apply_late(callback, datetime.now(UTC))
        assert self.may_leave_final is self.life.apply_late(key)
