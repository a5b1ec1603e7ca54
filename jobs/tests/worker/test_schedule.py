"""Whom a worker asks when: nobody in vain, and yet a loss in Redis is seen."""

from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.take import Taken
from jobs.worker.listener import Listener
from jobs.worker.schedule import MAX_WAIT_SECONDS, Schedule
from vendors.models import Vendor

HOUR = 3600.0


def schedule_of(*slugs):
    schedule = Schedule()
    schedule.know({slug: Vendor(slug=slug, adapter="sync") for slug in slugs})
    return schedule


def answer(schedule, now, **fields):
    """Ask whoever is due, be told the same of each, and return who it was."""
    due = schedule.due(now)
    for vendor in due:
        schedule.note(
            Taken(vendor, now, **{"wait_seconds": HOUR, "listen": entries_of(vendor), **fields})
        )
    return [vendor.slug for vendor in due]


def entries_of(vendor):
    return {Keys(vendor.slug).retries: "0-0", Keys(vendor.slug).jobs: "1-0"}


def slots_of(vendor):
    return {Keys(vendor.slug).freed: "0-0"}


def test_who_has_no_more_is_asked_when_there_is_news_and_one_of_all_now_and_then():
    schedule = schedule_of("a", "b", "c")
    assert answer(schedule, 100) == ["a", "b", "c"]
    asked = [answer(schedule, 100 + seconds) for seconds in range(1, 61)]
    assert sum(map(len, asked)) == 60 / MAX_WAIT_SECONDS
    assert {slug for slugs in asked for slug in slugs} == {"a", "b", "c"}
    schedule.hear({Keys("b").jobs})
    assert "b" in answer(schedule, 160.5)


def test_a_check_goes_on_to_the_next_until_one_answers():
    schedule = schedule_of("a", "paused")
    answer(schedule, 100)
    assert [vendor.slug for vendor in schedule.due(106)] == ["paused"]
    assert "a" in answer(schedule, 106.4)
    assert answer(schedule, 107) == []


def test_what_one_vendor_has_lost_all_are_asked_for():
    schedule = schedule_of("a", "b", "c")
    answer(schedule, 100)
    [checked] = schedule.due(106)
    schedule.note(Taken(checked, 106, stale=True))
    assert answer(schedule, 107) == ["a", "b", "c"]
    assert answer(schedule, 107.1) == []


def test_who_is_lost_for_long_makes_nobody_ask_all_again_and_again():
    schedule = schedule_of("a", "b")
    answer(schedule, 100)
    for tenth in range(1, 40):
        for vendor in schedule.due(100 + tenth / 10):
            stale = vendor.slug == "a"
            schedule.note(
                Taken(
                    vendor,
                    100 + tenth / 10,
                    wait_seconds=HOUR,
                    listen=entries_of(vendor),
                    stale=stale,
                )
            )
        schedule.hear({Keys("a").jobs})
    schedule.due(104)
    assert [vendor.slug for vendor in schedule.due(104)] == ["a"]


def test_who_waits_for_a_slot_is_asked_every_few_seconds_to_be_sure():
    schedule = schedule_of("a", "b")
    for vendor in schedule.due(100):
        schedule.note(Taken(vendor, 100, wait_seconds=HOUR, listen=slots_of(vendor)))
    assert schedule.due(104) == []
    assert [vendor.slug for vendor in schedule.due(100 + MAX_WAIT_SECONDS)] == ["a", "b"]


def test_no_more_vendors_are_looked_at_than_it_takes_to_find_the_first_that_is_due():
    schedule, looked_at = schedule_of(*(f"v{number}" for number in range(100))), []
    answer(schedule, 100)
    schedule.seconds_until_due(101, lambda vendor: looked_at.append(vendor) or 1)
    assert len(looked_at) == 1


def test_a_listener_that_hears_nothing_wakes_nobody(redis_client, monkeypatch):
    monkeypatch.setattr("jobs.worker.listener.BLOCK_SECONDS", 0.01)
    heard = []
    listener = Listener("w", heard.append)
    listener.watch({"stream": "0-0"})
    listener._listen()
    listener._listen()
    assert heard == []
    commands().xadd("stream", {"job": "1"})
    listener._listen()
    assert heard == [{"stream"}]
