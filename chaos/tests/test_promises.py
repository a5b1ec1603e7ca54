"""The checks of what clients are promised, on made-up histories."""

from datetime import UTC, datetime, timedelta

import pytest

from chaos import promises
from chaos.client import Posted
from chaos.history import History, Story
from chaos.journal import Journal
from chaos.ledger import Arrival
from chaos.probes import Probed
from chaos.tests.conftest import JOB, OTHER
from jobs.models import Attempt, Job

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SERIAL = 1
OWNER, STRANGER = "billing", "sales"


def story_of(job_id=JOB, serial=SERIAL, client=OWNER, options=None, **fields):
    """Return the story of a job. `options` are those of its request."""
    job = Job(id=job_id, client=client, input={"serial": serial}, created_at=CREATED_AT, **fields)
    at = CREATED_AT.timestamp()
    posted = Posted(serial, "quick", at, job_id=job_id, options=options or {})
    return Story(job, posted=posted, requests=[posted])


def history_of(*stories, posted=(), probed=()):
    by_id = {story.job.pk: story for story in stories}
    return History(1, list(posted), by_id, Journal(), list(probed))


def found(check, *stories, **more):
    return [job_id for job_id, _ in check(history_of(*stories, **more))]


def at(seconds):
    return CREATED_AT + timedelta(seconds=seconds)


def called(story, seconds, started=None, run=1):
    """Add a call of the vendor, that many seconds after the job was created."""
    time = at(seconds).timestamp()
    story.arrivals.append(Arrival(time, "quick", story.job.pk, 1, SERIAL, "ok", None))
    started_at = at(started if started is not None else seconds)
    story.attempts.append(Attempt(started_at=started_at, run=run, number=1))
    return story


def test_two_jobs_of_one_request_are_found():
    assert found(promises.doubled, story_of(JOB), story_of(OTHER)) == [OTHER]
    assert found(promises.doubled, story_of(JOB), story_of(OTHER, serial=2)) == []


def test_two_ids_for_one_request_are_found_even_if_one_does_not_exist():
    accepted = [Posted(SERIAL, "quick", 1.0, job_id=JOB), Posted(SERIAL, "quick", 2.0)]
    assert found(promises.doubled, story_of(JOB), posted=accepted) == []
    accepted[1].job_id = OTHER
    assert found(promises.doubled, story_of(JOB), posted=accepted) == [OTHER]
    again = Probed("replay", SERIAL, JOB, "202", OTHER, is_replay=True)
    assert found(promises.doubled, story_of(JOB), probed=[again]) == [OTHER]


@pytest.mark.parametrize(
    ("probed", "is_wrong"),
    [
        (Probed("replay", SERIAL, JOB, "202", JOB, is_replay=True), False),
        (Probed("replay", SERIAL, JOB, "202", JOB, is_replay=False), True),
        (Probed("replay", SERIAL, JOB, "202", OTHER, is_replay=True), True),
        (Probed("replay", SERIAL, JOB, "409"), True),
        (Probed("replay", SERIAL, JOB, "503"), False),
        (Probed("replay", SERIAL, JOB, "429"), False),
        (Probed("replay", SERIAL, JOB, "ReadTimeout"), False),
        (Probed("other_body", SERIAL, JOB, "422"), False),
        (Probed("other_body", SERIAL, JOB, "202", JOB, is_replay=True), True),
        (Probed("other_body", SERIAL, JOB, "400"), True),
    ],
)
def test_a_wrong_answer_to_a_repeated_request_is_found(probed, is_wrong):
    assert bool(found(promises.wrong_replays, probed=[probed])) is is_wrong


@pytest.mark.parametrize(
    ("answer", "is_seen"),
    [("404", False), ("ConnectionError", False), ("503", False), ("200", True), ("409", True)],
)
def test_a_job_shown_to_another_client_is_found(answer, is_seen):
    probed = Probed("foreign_job", SERIAL, JOB, answer)
    assert bool(found(promises.foreign_seen, probed=[probed])) is is_seen


def test_a_job_listed_for_another_client_is_found():
    lists = [Probed("list", SERIAL, JOB, "200", got_id) for got_id in ("", OTHER)]
    assert found(promises.foreign_seen, probed=lists) == [OTHER]


def test_a_job_stored_for_another_client_is_found():
    assert found(promises.foreign_seen, story_of(), story_of(OTHER, client=STRANGER)) == [OTHER]


def test_a_request_that_was_never_accepted_is_found():
    posted = [
        Posted(1, "quick", 1.0, answer="503"),
        Posted(1, "quick", 2.0, answer="202", job_id=JOB),
        Posted(2, "quick", 1.0, answer="401"),
    ]
    [(_, words)] = promises.never_accepted(history_of(posted=posted))
    assert words == "job 2 was never accepted: at last 401"


@pytest.mark.parametrize(("seconds", "is_found"), [(2.9, True), (3.0, False)])
def test_a_call_before_its_time_is_found(seconds, is_found):
    story = called(story_of(options={"not_before": at(3).isoformat()}), seconds)
    assert bool(found(promises.out_of_time, story)) is is_found


@pytest.mark.parametrize(
    ("seconds", "run", "is_found"), [(2.5, 1, False), (3.5, 1, True), (3.5, 2, False)]
)
def test_a_start_after_the_expiry_is_found_unless_it_was_asked_for(seconds, run, is_found):
    story = called(story_of(options={"expires_in": 2}), 9, started=seconds, run=run)
    assert bool(found(promises.out_of_time, story)) is is_found


@pytest.mark.parametrize(
    ("options", "status", "seconds", "is_found"),
    [
        ({"expires_in": 2}, "failed", 2.1, False),
        ({"expires_in": 2}, "failed", 1.9, True),
        ({"expires_in": 2}, "complete", 2.1, True),
        ({}, "failed", 2.1, True),
    ],
)
def test_an_unnecessary_expiry_is_found(options, status, seconds, is_found):
    ended = {"status": status, "error_code": "expired", "finished_at": at(seconds)}
    assert bool(found(promises.out_of_time, story_of(options=options, **ended))) is is_found


def test_an_expired_job_that_was_called_is_found():
    ended = {"status": "failed", "error_code": "expired", "finished_at": at(5)}
    story = called(story_of(options={"expires_in": 2}, **ended), 1)
    assert found(promises.out_of_time, story) == [JOB]
