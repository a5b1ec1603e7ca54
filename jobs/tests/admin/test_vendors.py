"""Operators edit vendors in the console: validated, applied at once, without undoing others'."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import Keys
from jobs.tests.console import sign_in_as_superuser, text, trail
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.django_db
VENDORS = "/admin/vendors/vendor/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


def form_of(browser, path):
    """Return the fields of a form as a browser would post them, with the initial values."""
    form = browser.get(path).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    first = {
        form[name].html_initial_name: value
        for name, value in shown.items()
        if form.fields[name].show_hidden_initial
    }
    return {
        name: "" if value is None else value
        for name, value in {**first, **shown}.items()
        if value is not False
    }


def change(browser, vendor, **fields):
    path = f"{VENDORS}{vendor.pk}/change/"
    posted = {
        name: value
        for name, value in {**form_of(browser, path), **fields}.items()
        if value is not False
    }
    return browser.post(path, posted, follow=True)


def test_the_required_input_is_edited_and_checked(browser, make_vendor):
    vendor = make_vendor("acme")
    assert form_of(browser, f"{VENDORS}{vendor.pk}/change/")["required_input"] == "name"
    change(browser, vendor, required_input="email, city")
    assert catalogue.get("acme").required_fields == ("email", "city")
    page = text(change(browser, vendor, required_input="email, options"))
    assert "Remove options: EnrichLabs reads this field itself" in page
    assert catalogue.get("acme").required_fields == ("email", "city")


def test_a_vendor_is_added_with_sound_defaults(browser):
    posted = {
        **form_of(browser, f"{VENDORS}add/"),
        "slug": "acme",
        "adapter": "sync",
        "url": "https://vendor.example/",
    }
    assert "was added successfully" in text(browser.post(f"{VENDORS}add/", posted, follow=True))
    vendor = catalogue.get("acme")
    assert (vendor.enabled, vendor.paused, vendor.timeout_seconds, vendor.redact) == (
        True,
        False,
        30,
        "ssn",
    )


def test_a_change_applies_at_once(browser, make_vendor):
    vendor = make_vendor()
    assert catalogue.get("acme").max_attempts == 5
    assert "was changed successfully" in text(
        change(browser, vendor, max_attempts="7", enabled=False)
    )
    assert catalogue.get("acme").max_attempts == 7
    assert not catalogue.get("acme").enabled


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (
            "adapter",
            "soap",
            "'soap' is not an adapter. Use http, sync, async or adapters.FILE.CLASS",
        ),
        ("url", "vendor.example", "Enter a full URL that starts with https:// or http://."),
        (
            "api_key_env",
            "not a name",
            "Enter the name of an environment variable, such as VENDOR_ACME_API_KEY.",
        ),
        (
            "api_key_env",
            "SECRET_KEY",
            "SECRET_KEY is a setting of EnrichLabs. Name another variable.",
        ),
        ("adapter", "venv.__main__.x", "'venv.__main__.x' is not an adapter"),
        (
            "adapter",
            "adapters.exits.X",
            "The adapter 'adapters.exits.X' can't be imported: SystemExit: 2",
        ),
        ("adapter", "adapters.faulty.FailsToStart", "failed: RuntimeError: no certificate"),
        ("url", "http://*.example/", "'*.example' is not a valid host name."),
        ("timeout_seconds", "nan", "Enter a number."),
        ("max_attempts", "0", "Ensure this value is greater than or equal to 1."),
        (
            "max_attempts",
            "99999999999999999999999",
            "Ensure this value is less than or equal to 100.",
        ),
    ],
)
def test_an_invalid_value_is_explained_and_not_saved(browser, make_vendor, field, value, sentence):
    vendor = make_vendor()
    before = Vendor.objects.values().get()
    assert sentence in text(change(browser, vendor, **{field: value}))
    assert Vendor.objects.values().get() == before


def test_the_slug_is_validated_and_never_changes(browser, make_vendor):
    posted = {
        **form_of(browser, f"{VENDORS}add/"),
        "adapter": "sync",
        "url": "https://vendor.example/",
    }
    assert "Use only lower-case letters" in text(
        browser.post(f"{VENDORS}add/", {**posted, "slug": "Acme Ltd"})
    )
    vendor = make_vendor()
    assert "already exists" in text(browser.post(f"{VENDORS}add/", {**posted, "slug": "acme"}))
    assert 'name="slug"' not in browser.get(f"{VENDORS}{vendor.pk}/change/").content.decode()
    change(browser, vendor, slug="globex")
    assert Vendor.objects.get().slug == "acme"


def test_saving_keeps_changes_made_meanwhile(browser, make_vendor):
    vendor = make_vendor(rate_limits="10/s", enabled=True)
    path = f"{VENDORS}{vendor.pk}/change/"
    opened = form_of(browser, path)
    until = timezone.now().replace(microsecond=0) + timedelta(minutes=5)
    Vendor.objects.update(
        rate_limits="5/s",
        enabled=False,
        paused=True,
        paused_until=until,
        pause_reason="It asked us to wait.",
    )
    browser.post(path, {**opened, "max_attempts": "7"})
    vendor = Vendor.objects.get()
    assert (vendor.max_attempts, vendor.rate_limits, vendor.enabled) == (7, "5/s", False)
    assert (vendor.paused, vendor.paused_until, vendor.pause_reason) == (
        True,
        until,
        "It asked us to wait.",
    )


def test_the_list_shows_the_state_of_each_vendor(browser, make_vendor, redis_client):
    make_vendor("acme"), make_vendor("globex", paused=True, pause_reason="Our key was refused.")
    soon = timezone.now() + timedelta(minutes=1)
    (
        make_vendor("initech", paused_until=soon),
        make_vendor("umbrella", paused_until=timezone.now(), pause_reason="past"),
    )
    page = browser.get(VENDORS)
    page_text = text(page)
    for part in (
        "globex sync paused Our key was refused.",
        "initech sync paused Paused. · until",
        "acme sync no worker No live worker calls it. 0",
        "umbrella sync no worker No live worker calls it. 0",
    ):
        assert part in page_text
    assert f'title="{soon:%Y-%m-%d %H:%M:%S} UTC"' in page.content.decode()
    slugs = [vendor.slug for vendor in page.context["cl"].result_list]
    assert slugs == ["acme", "umbrella", "globex", "initech"], "the worst first"


def test_the_form_cannot_pause(browser, make_vendor):
    vendor = make_vendor()
    change(
        browser, vendor, paused="on", pause_reason="x", paused_by="alice", paused_until="2999-01-01"
    )
    vendor.refresh_from_db()
    assert (vendor.paused, vendor.pause_reason, vendor.paused_by, vendor.paused_until) == (
        False,
        "",
        "",
        None,
    )


def test_the_history_records_old_and_new_values(browser, make_vendor):
    vendor = make_vendor(url="https://acme.test/?api_key=s3cret", enabled=True)
    change(browser, vendor, url="https://acme.test/v2?api_key=s3cret", enabled=False)
    changes = {
        "url": ["https://acme.test/?api_key=***", "https://acme.test/v2?api_key=***"],
        "enabled": [True, False],
    }
    assert trail("vendor:acme") == [("vendor.changed", changes)]
    assert "→" in text(browser.get(f"{VENDORS}{vendor.pk}/history/"))
    change(browser, vendor)
    assert len(trail()) == 1, "nothing was changed"


def test_the_history_records_the_value_that_was_replaced(browser, make_vendor):
    vendor = make_vendor(max_attempts=5)
    path = f"{VENDORS}{vendor.pk}/change/"
    opened = form_of(browser, path)
    Vendor.objects.update(max_attempts=4)  # by another operator, meanwhile
    browser.post(path, {**opened, "max_attempts": "9"})
    assert trail() == [("vendor.changed", {"max_attempts": [4, 9]})]


def test_a_vendor_that_is_down_shows_since_when_and_its_next_probe(
    browser, make_vendor, redis_client
):
    vendor = make_vendor(max_attempts=2)
    Heartbeat("worker").send()
    breaker.report(
        vendor, [Report("bad", "", f"job-{n}", started_us=1, code="vendor_error") for n in range(2)]
    )
    minute_later_us = (redis_client.time()[0] + 60) * 1_000_000
    redis_client.hset(Keys("acme").state, "open_until", minute_later_us)
    sentence = "Its calls fail (vendor_error): its breaker is open."
    listed, page = text(browser.get(VENDORS)), text(browser.get(f"{VENDORS}{vendor.pk}/change/"))
    assert re.search(
        rf"breaker open {re.escape(sentence)} · since \d\d:\d\d · until \d\d:\d\d", listed
    )
    assert re.search(rf"Down. {re.escape(sentence)} Since \d\d:\d\d , until \d\d:\d\d", page)
    assert "One of them probes the vendor then" in page
    assert "Close breaker" in page


def test_limits_are_not_changed_without_their_effect(browser, make_vendor):
    vendor = make_vendor(rate_limits="10/s")
    change(browser, vendor, rate_limits="20/s", arrival_margin_ms="30", max_queued="1")
    stored = Vendor.objects.get()
    assert (stored.rate_limits, stored.arrival_margin_ms) == ("10/s", 70)
    page = browser.get(f"{VENDORS}{vendor.pk}/change/").content.decode()
    assert "/admin/vendors/acme/limits/" in page


@pytest.mark.parametrize("status", ["queued", "processing", "waiting"])
@pytest.mark.parametrize("enabled", [True, False])
def test_a_vendor_in_use_cannot_be_deleted(browser, make_vendor, make_job, enabled, status):
    vendor, job = make_vendor(enabled=enabled), make_job(status=status)
    page_text = text(browser.post(f"{VENDORS}{vendor.pk}/delete/", {"post": "yes"}, follow=True))
    assert "acme has open jobs. Wait until they end, or cancel them." in page_text
    assert ("acme is enabled. Disable it first" in page_text) == enabled
    assert Vendor.objects.exists()
    Job.objects.filter(pk=job.pk).update(status="complete")
    browser.post(f"{VENDORS}{vendor.pk}/delete/", {"post": "yes"})
    assert Vendor.objects.exists() == enabled


def test_no_vendor_is_deleted_if_one_of_them_is_in_use(browser, make_vendor, make_job):
    ids = [make_vendor("acme", enabled=False).pk, make_vendor("globex", enabled=False).pk]
    job = make_job(vendor="globex")
    posted = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
    assert "globex has open jobs." in text(browser.post(VENDORS, posted, follow=True))
    assert Vendor.objects.count() == 2
    Job.objects.filter(pk=job.pk).update(status="cancelled")
    assert catalogue.all().keys() == {"acme", "globex"}
    assert "Successfully deleted 2 vendors." in text(browser.post(VENDORS, posted, follow=True))
    assert catalogue.all() == {}
