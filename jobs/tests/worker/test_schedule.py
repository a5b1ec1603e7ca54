"""When a worker asks which vendor: seldom if there is nothing to take, yet it finds out when Redis
loses its data.
"""

from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.take import Taken
from jobs.worker.schedule import MAX_WAIT_SECONDS, Schedule
from jobs.worker.threads.listener import Listener
from vendors.models import Vendor

HOUR = 3600.0


def schedule_of(*slugs):
    schedule = Schedule()
    schedule.serve({slug: Vendor(slug=slug, adapter="sync") for slug in slugs})
    return schedule


def answer(schedule, now, **fields):
    """Note the same reply of each vendor that is due, and return their slugs."""
    due = schedule.due(now)
    for vendor in due:
        reply = {"wait_seconds": HOUR, "listen": entries_of(vendor), **fields}
        schedule.note(Taken(vendor, now, **reply))
    return [vendor.slug for vendor in due]


def entries_of(vendor):
    return {Keys(vendor.slug).retries: "0-0", Keys(vendor.slug).jobs: "1-0"}


def slots_of(vendor):
    return {Keys(vendor.slug).freed: "0-0"}


def test_idle_vendors_wait_for_new_entries_except_for_a_periodic_check():
    schedule = schedule_of("a", "b", "c")
    assert answer(schedule, 100) == ["a", "b", "c"]
    asked = [answer(schedule, 100 + seconds) for seconds in range(1, 61)]
    assert sum(map(len, asked)) == 60 / MAX_WAIT_SECONDS
    assert {slug for slugs in asked for slug in slugs} == {"a", "b", "c"}
    schedule.hear({Keys("b").jobs})
    assert "b" in answer(schedule, 160.5)


def test_the_periodic_check_goes_on_to_the_next_vendor_until_one_answers():
    schedule = schedule_of("a", "paused")
    answer(schedule, 100)
    assert [vendor.slug for vendor in schedule.due(106)] == ["paused"]
    assert "a" in answer(schedule, 106.4)
    assert answer(schedule, 107) == []


def test_all_vendors_are_asked_when_one_is_stale():
    schedule = schedule_of("a", "b", "c")
    answer(schedule, 100)
    [checked] = schedule.due(106)
    schedule.note(Taken(checked, 106, stale=True))
    assert answer(schedule, 107) == ["a", "b", "c"]
    assert answer(schedule, 107.1) == []


def test_the_others_are_asked_only_once_when_a_vendor_stays_stale():
    schedule = schedule_of("a", "b")
    answer(schedule, 100)
    for tenth in range(1, 40):
        now = 100 + tenth / 10
        for vendor in schedule.due(now):
            reply = {"wait_seconds": HOUR, "listen": entries_of(vendor)}
            schedule.note(Taken(vendor, now, stale=vendor.slug == "a", **reply))
        schedule.hear({Keys("a").jobs})
    schedule.due(104)
    assert [vendor.slug for vendor in schedule.due(104)] == ["a"]


def test_vendors_that_wait_for_a_slot_are_asked_every_few_seconds():
    schedule = schedule_of("a", "b")
    for vendor in schedule.due(100):
        schedule.note(Taken(vendor, 100, wait_seconds=HOUR, listen=slots_of(vendor)))
    assert schedule.due(104) == []
    assert [vendor.slug for vendor in schedule.due(100 + MAX_WAIT_SECONDS)] == ["a", "b"]


def test_room_is_asked_for_only_until_the_first_vendor_with_room():
    schedule, asked = schedule_of(*(f"v{number}" for number in range(100))), []
    answer(schedule, 100)
    schedule.seconds_until_due(101, lambda vendor: asked.append(vendor) or 1)
    assert len(asked) == 1


def test_a_listener_reports_only_streams_that_grew(redis_client, monkeypatch):
    monkeypatch.setattr("jobs.worker.threads.listener.BLOCK_SECONDS", 0.01)
    grown = []
    listener = Listener("w", grown.append)
    listener.watch({"stream": "0-0"})
    listener._listen()
    listener._listen()
    assert grown == []
    commands().xadd("stream", {"job": "1"})
    listener._listen()
    assert grown == [{"stream"}]


def test_a_stream_of_several_vendors_is_read_from_the_entry_that_one_of_them_knew_first():
    schedule = schedule_of("a", "b", "c")
    last_ids = {"a": "9-1", "b": "9-0", "c": "10-0"}
    for vendor in schedule.vendors():
        listen = {"shared": last_ids[vendor.slug]}
        schedule.note(Taken(vendor, 100, wait_seconds=HOUR, listen=listen))
    assert schedule.ends() == {"shared": "9-0"}
