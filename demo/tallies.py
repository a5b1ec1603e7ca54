"""Counts the invented past as the processes of then would have, and a week before it roughly."""

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from demo.history import Call, Past
from demo.rows import outcome_of
from jobs.models import Tally
from jobs.storage.store import writing
from jobs.tallies.counts import Counts
from jobs.tallies.memory import minute_of
from jobs.tallies.writer import tally

PROCESS = "demo"
DAY_MINUTES = 1440
CHUNK = 1000
# How busy the days before were, compared with the last one.
EARLIER_DAYS = (0.9, 0.8, 0.35, 0.3, 0.85, 1.0)
Minutes = dict[tuple[str, int], Counts]


def write(pasts: Sequence[Past], now: datetime, luck: random.Random) -> None:
    """Write a row for each vendor and minute of the day, and for each hour of the days before."""
    found: Minutes = defaultdict(Counts)
    for past in pasts:
        _count(past, found)
    _count_earlier_days(pasts, found, luck)
    _sample(pasts, found, minute_of(now))
    rows = [tally(vendor, minute, PROCESS, counts) for (vendor, minute), counts in found.items()]
    with writing():
        Tally.objects.bulk_create(rows, batch_size=CHUNK)


def _count(past: Past, found: Minutes, minutes_ago: int = 0) -> None:
    vendor = past.story.vendor

    def at(moment: datetime) -> Counts:
        minute = minute_of(moment) - minutes_ago
        return found[vendor, minute - minute % 60 if minutes_ago else minute]

    at(past.created_at).accepted += 1
    for call in past.calls:
        _count_call(past, call, at(call.ended_at))
    if past.finished_at is None:
        return
    wait = past.calls[0].started_at - past.created_at
    at(past.calls[0].started_at).wait.add(wait.total_seconds())
    end = at(past.finished_at)
    end.job.add((past.finished_at - past.created_at).total_seconds())
    if past.trouble:
        end.failed += 1
        end.job_codes[past.trouble.code] += 1
    else:
        end.done += 1


def _count_call(past: Past, call: Call, counts: Counts) -> None:
    is_error = call.trouble is not None and call.trouble.code != "callback_overdue"
    counts.calls["error" if is_error else outcome_of(past, call)] += 1
    counts.call.add((call.ended_at - call.started_at).total_seconds())
    if is_error and call.trouble:
        counts.call_codes[call.trouble.code] += 1
    elif past.story.cost:
        counts.cost += past.story.cost


def _count_earlier_days(pasts: Iterable[Past], found: Minutes, luck: random.Random) -> None:
    for past in pasts:
        is_of_today = past.trouble is not None and past.trouble.share > 0.3
        if is_of_today or past.finished_at is None:
            continue
        for day, share in enumerate(EARLIER_DAYS, start=1):
            if luck.random() < share:
                _count(past, found, day * DAY_MINUTES)


def _sample(pasts: Iterable[Past], found: Minutes, now_minute: int) -> None:
    """Note for each minute how many jobs waited, and the oldest of them."""
    accepted: dict[str, list[float]] = defaultdict(list)
    started: dict[str, list[float]] = defaultdict(list)
    for past in pasts:
        accepted[past.story.vendor].append(past.created_at.timestamp())
        if past.calls:
            started[past.story.vendor].append(past.calls[0].started_at.timestamp())
    for vendor, times in accepted.items():
        begun = sorted(started[vendor])
        for minute in range(now_minute - DAY_MINUTES, now_minute):
            come, gone = bisect_right(times, minute * 60), bisect_right(begun, minute * 60)
            if come > gone:
                found[vendor, minute].sample(come - gone, minute * 60 - times[gone])
