"""The gallery's definitions understand what their vendors answer: each recorded answer is replayed
through a worker, and callbacks through the endpoint.
"""

import re
from collections.abc import Callable

import pytest
from django.db import connection

from harness.vendor.recordings import (
    CALLBACK_URL,
    JOB_ID,
    Exchange,
    Recording,
    body_of,
    recordings,
    token_of,
)
from harness.vendor.scripted import Answer, Arrival, VendorServer, in_turn
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from jobs.queue import stream
from tests.gallery import GALLERY, NAMES, load_definition
from vendors.base import ANY_KEY, Access, VendorError
from vendors.catalogue import catalogue
from vendors.execute import check
from vendors.models import Vendor

with_services = pytest.mark.usefixtures("transactional_db", "redis_client", "gallery_keys")

STATUSES = {
    "found": "complete",
    "no_data": "complete",
    "pending": "waiting",
    "invalid_input": "failed",
    "blocked": "failed",
}


class RecordedServer(VendorServer):
    """Answers as recorded, in turn. `token` says how it issues tokens, which are no calls."""

    def __init__(self, recording: Recording, token: Exchange | None) -> None:
        answer = in_turn(*(each.answer for each in recording.exchanges))
        # A recording can be about that request itself.
        self._token = None if token and recording.call.request == token.request else token

        def respond(arrival: Arrival) -> Answer | bytes:
            return (
                self._token.answer
                if self._token and self._is_for_token(arrival)
                else answer(arrival)
            )

        super().__init__(respond)

    def calls(self) -> list[Arrival]:
        return [each for each in self.arrivals if not self._is_for_token(each)]

    def _is_for_token(self, arrival: Arrival) -> bool:
        return self._token is not None and self._token.difference(arrival) == []


class Replay:
    """One recording: a vendor of its own, whose server answers as recorded, and a job."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.recording = recording
        self.server = RecordedServer(recording, token_of(name))
        self.slug = f"{recording.vendor}-{recording.name}"
        load_definition(
            name,
            self.server,
            vendor=recording.vendor,
            slug=self.slug,
            polls_after="1s" if len(recording.exchanges) > 1 else "1h",
        )
        self.job = Job.new(vendor=self.slug, name="", input=dict(recording.input))

    def start(self) -> None:
        self.job.save(force_insert=True)
        stream.offer(self.slug, [self.job.pk])

    @property
    def is_done(self) -> bool:
        outcomes, expected = self.outcomes(), self.recording.exchanges
        return len(outcomes) >= len(expected) and "unknown" not in outcomes

    def outcomes(self) -> list[str]:
        rows = Attempt.objects.filter(job=self.job.pk).order_by("started_at", "number")
        return list(rows.values_list("outcome", flat=True))

    def differences(self) -> list[str]:
        """Return what is not as recorded."""
        steps, job = self.recording.exchanges, Job.objects.get(pk=self.job.pk)
        arrivals = self.server.calls()[: len(steps)]
        sent = body_of(arrivals[0]) or {}
        known = {JOB_ID: job.pk, CALLBACK_URL: str(dict(sent).get("webhook_url"))}
        found = [
            each
            for step, arrival in zip(steps, arrivals, strict=True)
            for each in step.difference(arrival, known)
        ]
        expected = [step.expect["outcome"] for step in steps]
        if self.outcomes()[: len(steps)] != expected:
            found.append(f"outcomes: {self.outcomes()} are not {expected}")
        found += self._of_attempt(steps[-1].expect)
        found += self._of_job(job, expected)
        return [f"{self.recording}: {each}" for each in found]

    def _of_attempt(self, expect) -> list[str]:
        rows = Attempt.objects.filter(job=self.job.pk).order_by("started_at", "number")
        attempt = rows[len(self.recording.exchanges) - 1]
        return [
            f"{name}: {getattr(attempt, name)} is not {expect[name]}"
            for name in ("cost", "confidence")
            if name in expect and getattr(attempt, name) != expect[name]
        ]

    def _of_job(self, job: Job, expected: list[str]) -> list[str]:
        expect, last = self.recording.exchanges[-1].expect, expected[-1]
        is_restarted = expect.get("restarted", False)
        waits = "waiting" if len(expected) > 1 and not is_restarted else "queued"
        status = STATUSES.get(last, waits)
        vendor = Vendor.objects.get(slug=self.slug)
        found = []
        if job.status != status and not (status == "queued" and job.status == "processing"):
            found.append(f"status: {job.status} ({job.error_message}) is not {status}")
        if job.result != expect.get("result"):
            found.append(f"result: {job.result} is not {expect.get('result')}")
        if status == "complete" and job.outcome != last:
            found.append(f"outcome: {job.outcome} is not {last}")
        if expect.get("paused") and not (vendor.paused or vendor.paused_until):
            found.append("the vendor is not paused")
        return found

    def post_callback(self, client, callback) -> list[str]:
        """Post what the vendor posts, and return what is not as recorded."""
        url = self.server.calls()[0].body["webhook_url"]
        response = client.post(
            url,
            callback["text"],
            content_type="application/json",
            headers=callback["headers"],
        )
        expect, job = callback["expect"], Job.objects.get(pk=self.job.pk)
        wanted = (200 if expect["accepted"] else 401, STATUSES[expect["outcome"]])
        found = (response.status_code, job.status)
        result = expect.get("result")
        return [
            f"{self.recording}: callback: {came} is not {should}"
            for came, should in ((found, wanted), (job.result, result))
            if came != should
        ]


def run(work: Callable[[], None], client, recorded: list[tuple[str, Recording]]) -> list[str]:
    """Replay calls, polls and callbacks, and return how they differ from what is recorded."""
    replays = [Replay(name, recording) for name, recording in recorded]
    catalogue.forget()
    for replay in replays:
        replay.start()
    work()
    try:
        wait_for(lambda: all(replay.is_done for replay in replays), "all jobs to be answered")
    except AssertionError:
        return [f"{each.recording}: {each.outcomes()}" for each in replays if not each.is_done]
    found = [each for replay in replays for each in replay.differences()]
    for replay in replays:
        if replay.recording.callback:
            found += replay.post_callback(client, replay.recording.callback)
        replay.server.stop()
    return found


@with_services
@pytest.mark.sqlite
def test_every_answer_is_understood_as_recorded(work, client):
    """All at once, because most of the time goes into waiting for polls."""
    recorded = [(name, each) for name in NAMES for each in recordings(name) if each.is_call]
    assert run(work, client, recorded) == []


@with_services
@pytest.mark.skipif(connection.vendor == "sqlite", reason="the test above has it")
def test_polls_and_callbacks_work_on_mongodb(work, client):
    wanted = {"found", "callback_good", "callback_forged"}
    recorded = [each for each in recordings("fullenrich") if each.name in wanted]
    assert run(work, client, [("fullenrich", each) for each in recorded]) == []


@with_services
@pytest.mark.sqlite
@pytest.mark.parametrize("name", NAMES)
def test_a_check_is_understood_as_recorded(name):
    for recording in recordings(name):
        if recording.is_check:
            server = VendorServer(in_turn(recording.call.answer))
            vendor = load_definition(name, server, vendor=recording.vendor)
            token = token_of(name)
            access = Access(token=token.body["access_token"]) if token else ANY_KEY
            answer, expect = check(vendor, access), recording.call.expect
            assert recording.call.difference(server.arrivals[0]) == []
            assert (answer.code if isinstance(answer, VendorError) else "found") == expect[
                "outcome"
            ]
            if "credits" in expect:
                assert answer.result == {"credits": expect["credits"]}
            server.stop()


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_names_its_sources_and_has_answers_for_what_matters(name):
    text = (GALLERY / f"{name}.toml").read_text()
    head = text.partition("\n\n")[0]
    assert re.match(r"# \w[^\n]+: [^\n]+\.\n", head)
    assert re.search(r"^# Read in \w+ 20\d\d:\n#   https://", head, re.MULTILINE)
    names = {recording.name for recording in recordings(name)}
    assert "found" in names
    assert names & {"no_data", "blocked"}
    assert names & {"too_fast", "out_of_credits"}
    assert ("wrong_key" in names) == ("[credentials." in text)
    assert ("check" in names) == (".check]" in text)
    assert ("callback_forged" in names) == (".callback]" in text)
