"""Counts and histograms, and the samples of what waits."""

import math
import random

import pytest

from jobs.models import Stream
from jobs.queue import stream
from jobs.tallies.counts import BOUNDS, Counts, Histogram, across_vendors
from jobs.tallies.samples import Sampler
from jobs.tests.tallies.counted import counted_now


def test_a_quantile_is_off_by_22_percent_at_most():
    durations = sorted(random.Random(1).lognormvariate(0, 2) for _ in range(1000))
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    for q in (0.05, 0.5, 0.95, 0.99):
        true = durations[math.ceil(q * 1000) - 1]
        if true > BOUNDS[0]:
            assert histogram.quantile(q) == pytest.approx(true, rel=0.2248)
    assert histogram.total == pytest.approx(sum(durations))


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.005, 1.0, 10**6])
def test_any_duration_has_a_bucket(seconds):
    histogram = Histogram()
    histogram.add(seconds)
    assert histogram.count == 1
    assert [count for _, count in histogram.cumulative()][-1] == 1
    assert histogram.quantile(0.5) > 0


def test_nothing_has_no_quantile():
    assert Histogram().quantile(0.5) is None


def test_counts_keep_their_numbers_as_json():
    counts = Counts(accepted=3, cost=0.25, waiting=0, oldest_seconds=1.5)
    counts.calls["found"] += 2
    counts.call.add(0.3)
    assert Counts.from_json(counts.as_json()) == counts
    assert Counts.from_json({**counts.as_json(), "of_a_later_release": 1}) == counts
    assert Counts().as_json() == {}


def test_jobs_that_wait_add_up_over_vendors_but_not_over_time():
    one, other = Counts(waiting=3, oldest_seconds=5.0), Counts(waiting=4, oldest_seconds=2.0)
    together = across_vendors([one, other, Counts()])
    assert (together.waiting, together.oldest_seconds) == (7, 5.0)
    one.merge(other)
    assert (one.waiting, one.oldest_seconds) == (4, 5.0)


@pytest.mark.sqlite
def test_a_sample_says_how_many_jobs_wait_and_once_that_none_does(db, make_vendor, redis_client):
    make_vendor("acme")
    make_vendor("idle")
    sampler = Sampler()
    stream.add("acme", ["1", "2"], Stream.JOBS)
    sampler.step()
    assert counted_now("acme").waiting == 2
    assert counted_now("acme").oldest_seconds < 60
    redis_client.flushall()
    counted_now("acme").waiting = None
    sampler.step()
    assert (counted_now("acme").waiting, counted_now("idle")) == (0, None)
