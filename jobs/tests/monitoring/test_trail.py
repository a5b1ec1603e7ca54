"""What the service does by itself stands in the audit trail."""

from datetime import timedelta

import pytest

from audit.models import Entry
from jobs.monitoring.versions import note_version
from jobs.queue.health import pausing
from jobs.recovery.unusable_pauses import UnusablePauses
from jobs.tests.monitoring.faults import KEYS, Stage, vendor_uncalled
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential

pytestmark = pytest.mark.django_db


def trail():
    entries = Entry.objects.order_by("id").values_list("actor", "action", "target", "reason")
    return [entry for entry in entries if entry[0] == "EnrichLabs"]


def test_a_pause_that_somebody_must_end_is_recorded_once(make_vendor, redis_client):
    vendor = make_vendor("acme")
    for _ in range(2):
        pausing.pause_until_resumed(pausing.paused_of(vendor, ""), pauses.DENIED)
    assert trail() == [("EnrichLabs", "vendor.paused", "vendor:acme", pauses.DENIED)]
    assert Entry.objects.get().changes == {"paused": [False, True]}


@pytest.mark.parametrize(("seconds", "entries"), [(2, 0), (300, 1)])
def test_short_pauses_are_not_recorded(make_vendor, redis_client, seconds, entries):
    """A vendor may ask us to slow down many times a minute."""
    what = pausing.paused_of(make_vendor("acme"), "")
    pausing.pause_for(what, timedelta(seconds=seconds), pauses.SLOW_DOWN)
    assert len(trail()) == entries


@pytest.mark.sqlite
def test_the_last_key_pauses_its_vendors(make_vendor, redis_client):
    Credential.objects.create(slug="pool", definition={"header": "X-Key", "keys_env": KEYS})
    make_vendor("acme", adapter="http", definition={"credential": "pool"})
    for key in KEYS:
        pausing.pause_until_resumed(pausing.paused_of(catalogue.get("acme"), key), pauses.DENIED)
    assert [entry[1:3] for entry in trail()] == [
        ("credential.key_paused", "credential:pool"),
        ("credential.key_paused", "credential:pool"),
        ("vendor.paused", "vendor:acme"),
    ]
    assert [entry.changes.get("key") for entry in Entry.objects.order_by("id")[:2]] == [
        [None, KEYS[0]],
        [None, KEYS[1]],
    ]


@pytest.mark.sqlite
def test_a_vendor_that_no_worker_can_call_is_paused_and_resumed(
    make_vendor, redis_client, settings
):
    stage, step = Stage(redis_client, make_vendor, settings, None), UnusablePauses()
    vendor_uncalled(stage)
    for _ in range(2):
        step.pause_or_resume()
    stage.heartbeat("w1")
    step.pause_or_resume()
    assert [entry[1] for entry in trail()] == ["vendor.paused", "vendor.resumed"]


def test_a_version_is_recorded_when_it_is_first_started(redis_client, settings, db):
    settings.VERSION = "1.0"
    note_version(), note_version()
    settings.VERSION = "1.1"
    note_version(), note_version()
    changes = Entry.objects.filter(action="service.version").order_by("id")
    assert [each.changes["version"] for each in changes] == [[None, "1.0"], ["1.0", "1.1"]]
