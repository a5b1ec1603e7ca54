"""A client loses access: to what it may post, not to what was accepted."""

from collections.abc import Callable

import pytest
from django.test import Client as HTTPClient

from audit.record import Actor
from clients import editing, issuing
from clients.models import ApiKey, Client
from harness.clients import bearer, issue, key_row
from harness.vendor.scripted import VendorServer
from harness.waiting import wait_for
from jobs.models import Job
from tests.conftest import WorkerProcess, wait_until_final

pytestmark = pytest.mark.django_db(transaction=True)
OPERATOR = Actor("operator")
JOB = {"vendor": "acme", "name": "John Doe"}


def post(client: HTTPClient, key: str) -> int:
    return client.post("/jobs", JOB, "application/json", headers=bearer(key)).status_code


def test_accepted_jobs_of_a_disabled_client_still_run(
    client: HTTPClient,
    make_vendor: Callable[..., object],
    vendor_server: VendorServer,
    start_worker: Callable[..., WorkerProcess],
) -> None:
    make_vendor(url=vendor_server.url)
    key = issue().text
    assert post(client, key) == 202
    team = Client.objects.get()
    team.enabled = False
    editing.change(team, OPERATOR, ["enabled"])
    assert post(client, key) == 401
    start_worker()
    wait_until_final()
    assert Job.objects.get().status == "complete"
    answer = client.get(f"/jobs/{Job.objects.get().pk}", headers=bearer(key))
    assert answer.status_code == 401


def test_both_keys_of_a_rotation_work_and_show_their_last_use(
    client: HTTPClient, make_vendor: Callable[..., object], redis_client: object
) -> None:
    make_vendor()
    old = issue()
    new = issuing.rotate(old.key, OPERATOR)
    for key in (old.text, new.text):
        assert post(client, key) == 202
        wait_for(lambda key=key: key_row(key).last_used_at, "the last use to be kept")
    assert set(Job.objects.values_list("client", flat=True)) == {"team-a"}
    issuing.revoke(new.key, OPERATOR)
    assert [post(client, old.text), post(client, new.text)] == [202, 401]
    issuing.revoke(ApiKey.objects.get(pk=old.key.pk), OPERATOR)
    assert post(client, old.text) == 401
