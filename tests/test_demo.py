"""The demo's past: what it invents fits together, and an own store is left alone."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import Entry
from demo import fill, history, tallies
from jobs.models import Attempt, Job, Status
from jobs.tallies import read

JOBS = 60


@pytest.fixture
def past_day(make_vendor, monkeypatch):
    monkeypatch.setattr(tallies, "EARLIER_DAYS", ())
    for slug in {story.vendor for story in history.STORIES}:
        make_vendor(slug)
    return fill.fill(JOBS, "1")


@pytest.mark.django_db
def test_the_history_counts_the_jobs_that_it_shows(past_day):
    now = timezone.now()
    counted = read.by_vendor(now - timedelta(hours=25), now + timedelta(minutes=1)).values()
    assert sum(each.accepted for each in counted) == Job.objects.count() == JOBS
    assert sum(each.done for each in counted) == Job.objects.filter(status=Status.COMPLETE).count()
    assert sum(sum(each.calls.values()) for each in counted) == Attempt.objects.count()
    assert Entry.objects.filter(action="vendor.limits_changed").exists()
    assert set(past_day.keys) == {"billing", "crm", "research"}


@pytest.mark.django_db
def test_a_store_with_jobs_is_refused(make_job):
    make_job()
    with pytest.raises(fill.NotEmptyError, match="fills only an empty one"):
        fill.fill(JOBS, "1")
    assert Job.objects.count() == 1


@pytest.mark.sqlite
def test_the_same_seed_makes_the_same_day():
    now = timezone.now()
    days = [list(history.jobs_of_a_day(JOBS, now, random.Random("1"))) for _ in range(2)]
    assert days[0] == days[1]
