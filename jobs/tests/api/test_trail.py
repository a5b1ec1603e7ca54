"""What callers and commands do to jobs is in the audit trail: who did it, from where, and once."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from audit.models import Entry
from harness.clients import bearer, issue
from jobs.api.access import trail
from jobs.tests.batch_rows import make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(make_vendor):
    make_vendor()
    return issue("billing")


def acts():
    found = Entry.objects.exclude(action__startswith="api_key").exclude(target="client:billing")
    return list(found.order_by("id").values_list("actor", "address", "action", "target"))


def test_what_api_keys_do_is_recorded_once(client, make_job, key):
    job, headers = make_job(client="billing"), bearer(key.text)
    batch = make_batch("failed", client="billing")
    for act in ("cancel", "cancel", "retry"):
        client.post(f"/jobs/{job.pk}/{act}", headers=headers)
    client.post(f"/batches/{batch.pk}/retry", headers=headers)
    who = (f"billing ({key.key})", "127.0.0.1")
    assert acts() == [
        (*who, "job.cancelled", f"job:{job.pk}"),
        (*who, "job.retried", f"job:{job.pk}"),
        (*who, "batch.retried", f"batch:{batch.pk}"),
    ]


@pytest.mark.sqlite
def test_an_act_without_a_key_is_recorded_as_such(client, make_job, make_vendor):
    make_vendor()
    client.post(f"/jobs/{make_job().pk}/cancel")
    [(actor, *_)] = acts()
    assert actor == "default (without an API key)"


@pytest.mark.sqlite
def test_what_has_happened_is_answered_so_without_its_entry(
    client, make_job, make_vendor, monkeypatch, caplog
):
    def fail(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr(trail, "record", fail)
    make_vendor()
    assert client.post(f"/jobs/{make_job().pk}/cancel").json()["status"] == "cancelled"
    assert "job.cancelled" in caplog.text


def test_commands_record_what_they_are_about_to_do(make_job, make_vendor):
    make_vendor()
    make_job(status="failed", finished_at=timezone.now(), error_code="timeout")
    call_command("replay", "--error-code", "timeout", "--yes", stdout=StringIO())
    call_command("prune", "--older-than", "30d", "--vendor", "acme", "--yes", stdout=StringIO())
    replayed, pruned = Entry.objects.order_by("id")
    assert (replayed.action, replayed.target) == ("jobs.replayed", "command:replay")
    assert replayed.changes == {"error_code": [None, "timeout"], "jobs": [None, 1]}
    assert (pruned.action, pruned.changes["vendor"]) == ("jobs.pruned", [None, "acme"])
    assert replayed.actor.startswith("command line")
