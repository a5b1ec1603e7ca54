"""A choice of jobs says the same as a URL, as a query, in words, and when it is stored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.http import QueryDict
from django.utils import timezone

from jobs.api.pagination import first_id_at
from jobs.choice import Choice, ChoiceError

pytestmark = pytest.mark.django_db
JOB_ID = "019a0000-0000-7000-8000-000000000000"


def chosen(query):
    return Choice.from_query(QueryDict(query))


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "all jobs"),
        (
            "status=failed&vendor=acme&error_code=timeout",
            "failed jobs of acme with the error timeout",
        ),
        ("client=a&batch=b", "jobs, posted by a, in the batch b"),
        ("reference=r&q=Jo", "jobs, with the reference r, found by Jo"),
        ("created=day&reruns=1", "jobs, accepted in the last day, retried before"),
        (
            "created_after=2026-01-31T12%3A00&created_before=2026-02-01T00%3A00",
            "jobs, accepted from 2026-01-31 12:00 UTC until 2026-02-01 00:00 UTC",
        ),
        (
            "status=failed&ended_after=2026-01-31T12%3A00",
            "failed jobs, ended since 2026-01-31 12:00 UTC",
        ),
        ("status=queued&waiting_over=90m", "queued jobs, waiting for more than 90 minutes"),
        (f"id={JOB_ID}", "1 named job"),
    ],
)
def test_a_choice_is_read_from_a_url_and_said_in_words(query, words):
    assert chosen(query).in_words() == words
    assert chosen(chosen(query).as_query()) == chosen(query)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("status=done", "Status: must be one of queued, processing, waiting, complete, failed"),
        ("created=year", "Accepted: must be one of today, hour, day, week."),
        ("created_after=noon", "Accepted since: must be a time, such as 2026-01-31T12:00 (UTC)."),
        (
            "waiting_over=soon",
            "Waiting longer than: must be a number and a unit, such as 10m, 1h or 1d.",
        ),
        ("vendor=" + "x" * 256, "Vendor: must be at most 255 characters."),
        ("id=x", "One of the ids is not a request id."),
        (
            "created_after=2026-02-01&created_before=2026-01-01",
            "Accepted since must be earlier than accepted before.",
        ),
    ],
)
def test_a_choice_that_is_not_valid_is_refused(query, problem):
    with pytest.raises(ChoiceError) as refused:
        chosen(query)
    assert refused.value.problems[0].startswith(problem)


@pytest.mark.sqlite
def test_a_stored_choice_has_absolute_times_and_no_names():
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    stored = chosen("status=queued&created=day&waiting_over=1h").as_json(now)
    assert stored == {
        "status": "queued",
        "created_after": "2026-01-30T12:00",
        "waiting_since": "2026-01-31T11:00",
    }
    assert Choice.from_json(stored).in_words() == (
        "queued jobs, accepted since 2026-01-30 12:00 UTC, waiting since before "
        "2026-01-31 11:00 UTC"
    )
    assert Choice.from_json(chosen(f"id={JOB_ID}").as_json()).ids == (JOB_ID,)
    with pytest.raises(ValueError, match="search by name can't be stored"):
        chosen("q=Jane").as_json()


@pytest.fixture
def jobs(make_client, make_job):
    """Return the names of jobs by id: each differs from `wanted` in one thing."""
    make_client("billing")
    now = timezone.now()

    def make(name, at=now - timedelta(hours=2), **fields):
        given = {"status": "failed", "error_code": "timeout", "client": "billing", "run": 2}
        given |= {"reference": "order-1", "batch": "b", "batch_index": len(made), **fields}
        made[make_job(name=name, id=first_id_at(at)[:-2] + f"{len(made):02}", **given).pk] = name

    made = {}
    make("wanted")
    make("other vendor", vendor="globex")
    make("other client", client="default")
    make("other code", error_code="auth")
    make("other batch", batch="c")
    make("other reference", reference="order-2")
    make("first run", run=1)
    make("new", at=now)
    make("old", at=now - timedelta(days=3))
    make("complete", status="complete", error_code="")
    return made


FILTERS = {
    "vendor": "vendor=acme",
    "client": "client=billing",
    "code": "error_code=timeout",
    "batch": "batch=b",
    "reference": "reference=order-1",
    "run": "reruns=1",
    "day": "created=day",
    "before": "created_before=" + (timezone.now() - timedelta(hours=1)).isoformat()[:16],
    "status": "status=failed",
}


@pytest.mark.parametrize("left_out", FILTERS)
def test_filters_combine(jobs, left_out):
    """Whichever of them an index serves, the others are checked in each row."""
    # The tests' MongoDB finds nothing by an index that begins with another column.
    unusable = {"reference"} if connection.vendor == "mongodb" else set()
    query = "&".join(each for name, each in FILTERS.items() if name not in {left_out, *unusable})
    found = {jobs[pk] for pk in chosen(query).jobs().values_list("pk", flat=True)}
    # Only failed jobs have an error code, so that the status alone tells nothing more.
    also = {
        "vendor": {"other vendor"},
        "client": {"other client"},
        "code": {"other code"},
        "batch": {"other batch"},
        "reference": {"other reference"},
        "run": {"first run"},
        "day": {"old"},
        "before": {"new"},
        "status": set(),
    }[left_out]
    also |= {"other reference"} if unusable else set()
    assert found == {"wanted"} | also
    leading = set(chosen(query).leading().values_list("pk", flat=True))
    assert leading >= {pk for pk, name in jobs.items() if name in found}


def test_jobs_can_be_chosen_by_when_they_ended(make_job):
    now = timezone.now()
    ended = [make_job(status="failed", finished_at=now - timedelta(hours=n)).pk for n in (0, 2)]
    make_job()
    for choice in (chosen("ended=hour"), Choice(ended_after=now - timedelta(hours=1))):
        assert not choice.has_own_index
        assert [job.pk for job in choice.jobs()] == ended[:1]
        assert "ended_after" in choice.as_json()


@pytest.mark.sqlite
def test_today_begins_at_midnight_of_the_reader():
    now = datetime(2026, 1, 31, 3, tzinfo=UTC)
    in_new_york = replace(chosen("created=today"), zone=ZoneInfo("America/New_York"))
    assert in_new_york.in_words() == "jobs, accepted today"
    began = in_new_york.fixed(now).created_after
    assert began == datetime(2026, 1, 30, 5, tzinfo=UTC)
    assert "today" not in in_new_york.as_query(), "a URL is the same for all its readers"


@pytest.mark.parametrize("term", ["{}", "…{}"])
def test_the_end_of_an_id_as_lists_show_it_finds_the_job(make_job, term):
    wanted = [make_job().pk for _ in range(2)][0]
    choice = Choice(q=term.format(wanted[-12:]), by_name=False)
    assert [job.pk for job in choice.jobs()] == [wanted]


def test_jobs_can_be_chosen_by_how_long_they_have_waited(make_job):
    now = timezone.now()
    hour, minute = now - timedelta(hours=1), now - timedelta(minutes=1)
    old = {"id": first_id_at(hour)}
    queued = make_job(**old, queued_at=hour)
    make_job(id=first_id_at(hour)[:-1] + "1", queued_at=minute, run=2)
    waiting = make_job(id=first_id_at(hour)[:-1] + "2", status="waiting", started_at=hour)
    make_job(id=first_id_at(hour)[:-1] + "3", status="processing", started_at=minute)
    make_job(id=first_id_at(hour)[:-1] + "4", status="failed", started_at=hour)
    choice = chosen("waiting_over=10m")
    ids = {queued.pk, waiting.pk}
    assert set(choice.jobs().values_list("pk", flat=True)) == ids
    parts = [pk for part in choice.parts() for pk in part.jobs().values_list("pk", flat=True)]
    assert sorted(parts) == sorted(ids), "each job is in one part"
    later = choice.fixed(now + timedelta(minutes=20))
    assert later.jobs().count() == 4
    assert chosen("waiting_over=10m&status=failed").jobs().count() == 0
