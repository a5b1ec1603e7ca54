"""Changing where a vendor's calls go needs a permission and a confirmation."""

import json

import pytest
from django.utils import timezone

from jobs.queue.heartbeat import Heartbeat
from jobs.recovery import unusable
from jobs.tests.admin.test_vendors import VENDORS, change, form_of
from jobs.tests.console import grant, sign_in, sign_in_as_superuser, text
from vendors.catalogue import catalogue
from vendors.models import Credential, Vendor

pytestmark = pytest.mark.django_db
BOTH = "VENDOR_ACME_API_KEY VENDOR_ACME_WEBHOOK_SECRET"


@pytest.fixture
def acme(make_vendor):
    key, secret = BOTH.split()
    return make_vendor(url="https://acme.test/v1", api_key_env=key, webhook_secret_env=secret)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://evil.test/v1"},
        {"url": "https://acme.test:8443/v1"},
        {"url": "http://acme.test/v1"},
        {"adapter": "async"},
    ],
)
def test_another_host_or_adapter_needs_the_variables_confirmed(acme, fields):
    browser = sign_in_as_superuser()
    before = Vendor.objects.values().get()
    for again in ("", "VENDOR_ACME_API_KEY", f"{BOTH} VENDOR_X"):
        page_text = text(change(browser, acme, **fields, variables_again=again))
        assert f"type {BOTH} here." in page_text
        assert Vendor.objects.values().get() == before
    assert "was changed successfully" in text(change(browser, acme, **fields, variables_again=BOTH))
    assert Vendor.objects.filter(**fields).exists()


def test_the_same_host_needs_no_confirmation(acme):
    browser = sign_in_as_superuser()
    assert "was changed successfully" in text(
        change(browser, acme, url="https://ACME.test/v2?page=1", max_attempts="7")
    )
    without = {"url": "https://other.test/", "api_key_env": "", "webhook_secret_env": ""}
    assert "was changed successfully" in text(change(browser, acme, **without))
    assert "was changed successfully" in text(change(browser, acme, url="https://third.test/"))
    assert Vendor.objects.get().url == "https://third.test/"


@pytest.fixture
def pdl(make_vendor):
    for slug in ("pdl", "other"):
        definition = {"header": "X-Api-Key", "keys_env": [f"VENDOR_{slug.upper()}_KEY"]}
        definition["hosts"] = ["files.test"]
        Credential.objects.create(slug=slug, definition=definition)
    url = "GET https://pdl.test/v1/{input.id}"
    definition = {"credential": "pdl", "cost": "body.cost"}
    return make_vendor("pdl", adapter="http", url=url, required_input="", definition=definition)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("fields", "variables"),
    [
        ({"url": "GET https://evil.test/v1/{input.id}"}, "VENDOR_PDL_KEY"),
        ({"url": "GET https://pdl.test:8443/v1"}, "VENDOR_PDL_KEY"),
        ({"url": "POST http://pdl.test/v1"}, "VENDOR_PDL_KEY"),
        ({"definition": 'credential = "other"'}, "VENDOR_OTHER_KEY"),
        (
            {"definition": 'credential = "pdl"\nproxy_env = "VENDOR_PROXY"'},
            "VENDOR_PDL_KEY VENDOR_PROXY",
        ),
        ({"definition": 'credential = "pdl"\nca_file = "/tmp/ca.pem"'}, "VENDOR_PDL_KEY"),
        (
            {"definition": 'credential = "pdl"\ncheck = { url = "GET https://files.test/" }'},
            "VENDOR_PDL_KEY",
        ),
        (
            {
                "definition": 'credential = "pdl"\nreference = "body.id"\n'
                'poll = { url = "GET https://files.test/{ref}" }'
            },
            "VENDOR_PDL_KEY",
        ),
    ],
)
def test_a_credential_goes_to_another_target_only_if_confirmed(pdl, fields, variables):
    browser, before = sign_in_as_superuser(), Vendor.objects.values().get()
    for again in ("", "VENDOR_X"):
        page_text = text(change(browser, pdl, **fields, variables_again=again))
        assert f"type {variables} here." in page_text
        assert Vendor.objects.values().get() == before
    page_text = text(change(browser, pdl, **fields, variables_again=variables))
    assert "was changed successfully" in page_text
    assert Vendor.objects.values().get() != before


@pytest.mark.sqlite
def test_another_method_path_or_rule_needs_no_confirmation(pdl):
    definition = 'credential = "pdl"\ncheck = { url = "GET https://PDL.test/me" }'
    fields = {"url": "POST https://PDL.test/v2/{input.id}", "definition": definition}
    assert "was changed successfully" in text(change(sign_in_as_superuser(), pdl, **fields))
    assert "credential" in Vendor.objects.get().definition


@pytest.mark.sqlite
def test_change_permission_shows_a_definition_and_does_not_change_it(pdl):
    browser, path = sign_in("view_vendor", "change_vendor"), f"{VENDORS}{pdl.pk}/change/"
    page = browser.get(path)
    assert 'credential = "pdl"' in text(page)
    assert 'name="definition"' not in page.content.decode()
    posted = {**form_of(browser, path), "definition": 'credential = "other"', "max_attempts": "7"}
    assert "was changed successfully" in text(browser.post(path, posted, follow=True))
    vendor = Vendor.objects.get()
    assert (vendor.max_attempts, vendor.definition) == (7, pdl.definition)


@pytest.mark.sqlite
def test_rate_limits_that_never_permit_a_call_are_refused_to_everybody(pdl):
    pdl.definition["weight"] = 5
    pdl.save()
    browser = sign_in("view_vendor", "change_vendor_limits")
    posted = {"rate_limits": "9/min, 4/s", "arrival_margin_ms": "70", "act": "show"}
    page = text(browser.post("/admin/vendors/pdl/limits/", posted))
    assert "Each limit must allow at least 5 calls, because weight is 5." in page
    page = text(browser.post("/admin/vendors/pdl/limits/", {**posted, "rate_limits": "9/min, 5/s"}))
    assert "at most 1 call in any second (5 units, 5 a call)" in page


@pytest.mark.sqlite  # permissions, see jobs/tests/console.py
def test_change_permission_does_not_include_the_target(acme):
    browser = sign_in("view_vendor", "change_vendor", "add_vendor")
    path = f"{VENDORS}{acme.pk}/change/"
    page = browser.get(path).content.decode()
    for name in ("url", "adapter", "api_key_env", "webhook_secret_env", "variables_again"):
        assert f'name="{name}"' not in page
    posted = {
        **form_of(browser, path),
        "url": "https://evil.test/",
        "adapter": "async",
        "api_key_env": "VENDOR_OTHER_KEY",
    }
    assert "was changed successfully" in text(
        browser.post(path, {**posted, "max_attempts": "7"}, follow=True)
    )
    vendor = Vendor.objects.get()
    assert (vendor.url, vendor.adapter, vendor.api_key_env) == (
        "https://acme.test/v1",
        "sync",
        "VENDOR_ACME_API_KEY",
    )
    assert vendor.max_attempts == 7
    assert browser.get(f"{VENDORS}add/").status_code == 403


@pytest.mark.sqlite
def test_target_permission_allows_changing_the_target(acme):
    browser = sign_in("view_vendor", "change_vendor", "add_vendor", "change_vendor_target")
    change(browser, acme, url="https://other.test/", variables_again=BOTH)
    assert Vendor.objects.get().url == "https://other.test/"
    assert browser.get(f"{VENDORS}add/").status_code == 200


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("fields", "needs_permission"),
    [
        ({"url": "GET https://pdl.test/v2/{input.id}"}, True),
        ({"definition": 'credential = "other"'}, True),
        (
            {"definition": 'credential = "pdl"\ncheck = { url = "GET https://files.test/" }'},
            True,
        ),
        ({"definition": 'credential = "pdl"\nproxy_env = "VENDOR_PROXY"'}, True),
        ({"definition": 'credential = "pdl"\ncost = "body.price"'}, False),
        ({"definition": 'cost = "body.cost"', "url": "GET https://evil.test/"}, False),
    ],
)
def test_where_a_credential_is_sent_needs_a_permission_of_its_own(pdl, fields, needs_permission):
    permissions = ("view_vendor", "change_vendor", "add_vendor", "change_vendor_target")
    every = "VENDOR_PDL_KEY VENDOR_PROXY"
    browser = sign_in(*permissions)
    for expects_refusal in sorted({needs_permission, False}, reverse=True):
        if not expects_refusal:
            grant("change_credential_target")
        for again in (every, "VENDOR_PDL_KEY", "VENDOR_OTHER_KEY", ""):
            page_text = text(change(browser, pdl, **fields, variables_again=again))
            if "was changed successfully" in page_text:
                break
        assert ("was changed successfully" in page_text) == (not expects_refusal)
        assert ("Ask a superuser for the permission" in page_text) == expects_refusal


@pytest.mark.sqlite
def test_a_credentials_variable_as_api_key_needs_the_permission_too(pdl, acme):
    permissions = ("view_vendor", "change_vendor", "add_vendor", "change_vendor_target")
    fields = {"api_key_env": "VENDOR_PDL_KEY"}
    browser = sign_in(*permissions)
    page_text = text(change(browser, acme, **fields))
    assert "or send another vendor's key. Ask a superuser" in page_text
    grant("change_credential_target")
    assert "was changed successfully" in text(change(browser, acme, **fields))


@pytest.mark.sqlite
def test_an_invalid_target_of_an_earlier_release_does_not_block_other_changes(make_vendor):
    acme = make_vendor(url="http://*.example", adapter="own.Adapter", api_key_env="ACME_API_KEY")
    change(sign_in("view_vendor", "change_vendor"), acme, max_attempts="7")
    assert Vendor.objects.get().max_attempts == 7


def test_the_page_shows_whether_workers_can_call_the_vendor(acme, redis_client, settings):
    browser = sign_in_as_superuser()
    path = f"{VENDORS}{acme.pk}/change/"
    assert "Can be called: No worker is alive." in text(browser.get(path))
    able, lacking = Heartbeat("able"), Heartbeat("lacking")
    lacking.report = unusable.report({"acme": "The variable VENDOR_ACME_API_KEY is not set."}, None)
    able.send()
    assert "Can be called: Yes, by 1 worker." in text(browser.get(path))
    lacking.send()
    page_text = text(browser.get(path))
    assert (
        "Can be called: Not by 1 of 2 workers: The variable VENDOR_ACME_API_KEY is not set."
        in page_text
    )
    assert "Callbacks are refused: The variable VENDOR_ACME_WEBHOOK_SECRET is not set." in page_text
    settings.SERVES = ["api", "admin"]
    Vendor.objects.update(definition={"callback": {"reference": "body.id"}})
    page_text = text(browser.get(path))
    assert "Callbacks are refused" not in page_text
    tell = f"Tell the vendor to post its answers to {settings.PUBLIC_URL}/vendor-webhook/acme"
    assert tell in page_text


def test_a_report_is_json_without_secrets(monkeypatch):
    monkeypatch.setenv("VENDOR_ACME_API_KEY", "ключ")
    vendor = Vendor(
        slug="acme",
        adapter="sync",
        url="http://a/",
        api_key_env="VENDOR_ACME_API_KEY",
        created_at=timezone.now(),
    )
    report = json.loads(unusable.report({"acme": unusable.fault(vendor)}, ["acme"]))
    assert report == [
        {"acme": "The variable VENDOR_ACME_API_KEY holds characters that no API key can have."},
        ["acme"],
    ]


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ({"credential": "none"}, "There is no credential 'none'."),
        ({"credential": "pdl"}, "The variable VENDOR_PDL_KEY is not set."),
        ({"cost": "body["}, "The definition can't be used: cost: "),
        ({"poll": {"every": "soon"}}, "Must be a duration"),
    ],
)
def test_a_vendor_that_cannot_be_called_says_why(pdl, definition, fault):
    Vendor.objects.update(definition=definition)
    catalogue.forget()
    assert fault in unusable.fault(catalogue.get("pdl"))
