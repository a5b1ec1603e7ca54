"""Named limits are edited as TOML: what is checked, what history says, and what can be deleted."""

import pytest

from jobs.models import Status
from jobs.queue.keys import limit_keys
from jobs.tests.admin.test_vendors import form_of
from jobs.tests.console import sign_in, sign_in_as_superuser, text, trail
from vendors.catalogue import catalogue
from vendors.loading.load import load
from vendors.loading.toml import FaultyVendorsError, parse
from vendors.models import Credential, Limit, Vendor

pytestmark = pytest.mark.django_db
LIMITS = "/admin/vendors/limit/"
QUOTA = {"calls": 5000, "period": "month", "from": 17, "zone": "Europe/Berlin"}


@pytest.fixture
def team(make_vendor):
    team = Limit.objects.create(slug="team", definition={"windows": "10/s", "quota": QUOTA})
    make_vendor("acme", definition={"limits": ["team"], "weight": 5})
    return team


def edit(browser, row, **fields):
    path = f"/admin/vendors/{row._meta.model_name}/{row.pk}/change/"
    return browser.post(path, {**form_of(browser, path), **fields}, follow=True)


def test_a_limit_is_edited_as_toml(team):
    browser, version = sign_in_as_superuser(), team.version
    shown = form_of(browser, f"{LIMITS}{team.pk}/change/")["definition"]
    assert shown.startswith('windows = "10/s"\nquota = { calls = 5000, period = "month", from = 17')
    edit(browser, team, definition=shown.replace("\n", "\r\n"))  # as a browser posts it
    assert Limit.objects.get().version == version
    assert "was changed" in text(edit(browser, team, definition=shown.replace("10/s", "20/s")))
    [limit] = catalogue.get("acme").limits
    assert (limit.rules.windows[0].calls, limit.version) == (20, version + 1)
    changes = {"definition.windows": ["10/s", "20/s"]}
    assert trail("limit:team") == [("limit.changed", changes)]
    page = browser.get(f"{LIMITS}{team.pk}/change/").content.decode()
    assert f'/vendor/{Vendor.objects.get().pk}/change/">acme</a>' in page


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("", "It limits nothing. Add windows"),
        ('windows = "10/x"', "windows: '10/x' is not a valid rate limit."),
        ('quota = { calls = 5, period = "year" }', 'quota.period: Must be "day", "week" or "month'),
        ('per = "client"\nmax_in_flight = 1', 'per: Must be "credential"'),
        ('[limits.team]\nwindows = "1/s"', "limits: Paste only what stands in [limits.NAME]"),
        ('windows = "4/s"', "Vendor acme could not use it. weight: Must be at most 4, because"),
        ('windows = "4/s"', "It is 5: lower it, or raise the limit 'team'."),
        ('windows = "5/s"\nper = "credential"', "Vendor acme could not use it. limits[0]: The lim"),
    ],
)
def test_a_faulty_limit_is_not_saved(team, typed, fault):
    response = edit(sign_in_as_superuser(), team, definition=typed)
    assert any(fault in it for it in response.context["adminform"].form.errors["definition"])
    assert fault in text(response)
    assert response.context["adminform"].form["definition"].value() == typed
    assert Limit.objects.get().definition == team.definition


@pytest.mark.sqlite
def test_a_limit_is_added_listed_and_deleted_once_no_vendor_names_it(team, redis_client):
    browser = sign_in_as_superuser()
    posted = {"slug": "daily", "definition": 'max_in_flight = 2\nper = "credential"'}
    assert "was added" in text(browser.post(f"{LIMITS}add/", posted, follow=True))
    page = text(browser.get(LIMITS))
    assert "daily - 2 - each key no vendor" in page
    assert "team 10/s - 5000 a month from day 17 (Europe/Berlin), then holds jobs" in page
    edit(browser, team, slug="other")
    assert not Limit.objects.filter(slug="other").exists()
    path = f"{LIMITS}{team.pk}/delete/"
    refusal = "Vendor acme uses it. Remove it from that vendor's `limits` first."
    assert refusal in text(browser.post(path, {"post": "yes"}, follow=True))
    Vendor.objects.all().delete()
    kept = [limit_keys(slug, key).in_flight for slug in ("daily", "teams") for key in ("", "KEY")]
    for name in (*kept, limit_keys("team").state, limit_keys("team", "KEY").log):
        redis_client.set(name, 1)
    assert "was deleted successfully" in text(browser.post(path, {"post": "yes"}, follow=True))
    assert [limit.slug for limit in Limit.objects.all()] == ["daily"]
    assert sorted(redis_client.scan_iter("enrich:limit:*")) == sorted(kept)


@pytest.mark.sqlite  # permissions, see jobs/tests/console.py
def test_who_may_only_look_sees_the_definition(team):
    browser, path = sign_in("view_limit"), f"{LIMITS}{team.pk}/change/"
    page = browser.get(path)
    assert 'windows = "10/s"' in text(page)
    assert 'name="definition"' not in page.content.decode()
    assert browser.post(path, {"definition": 'windows = "1/s"'}).status_code == 403
    assert browser.post(f"{LIMITS}{team.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_key_that_open_jobs_need_can_be_retired_but_not_removed(make_vendor, make_job):
    definition = {"header": "X-Api-Key", "keys_env": ["VENDOR_KEY_1", "VENDOR_KEY_2"]}
    credential = Credential.objects.create(slug="acme", definition=definition)
    url = "GET https://acme.test/{input.id}"
    make_vendor("acme", adapter="http", url=url, definition={"credential": "acme"})
    job = make_job(status=Status.WAITING, credential="VENDOR_KEY_1")
    make_job(status=Status.COMPLETE, credential="VENDOR_KEY_2")
    removed = 'header = "X-Api-Key"\nkeys_env = ["VENDOR_KEY_2"]\n'
    refusal = "keys_env: Open jobs were called with VENDOR_KEY_1, and may still have to be"
    browser, again = sign_in_as_superuser(), {"variables_again": "VENDOR_KEY_2"}
    assert refusal in text(edit(browser, credential, definition=removed, **again))
    with pytest.raises(FaultyVendorsError) as caught:
        load(parse(f"[credentials.acme]\n{removed}"))
    [fault] = caught.value.faults
    assert str(fault).startswith(f"credentials.acme.{refusal}")
    load(parse(f'[credentials.acme]\n{removed}retired_env = ["VENDOR_KEY_1"]\n'))
    job.status = Status.FAILED
    job.save()
    load(parse(f"[credentials.acme]\n{removed}"))
    assert Credential.objects.get().variable_names == ["VENDOR_KEY_2"]


@pytest.mark.parametrize("other", ['credential = "other"', ""])
def test_a_vendor_keeps_its_credential_while_its_open_jobs_need_a_key_of_it(
    make_vendor, make_job, other
):
    definition = {"header": "X-Api-Key", "keys_env": ["VENDOR_KEY_1"]}
    Credential.objects.create(slug="acme", definition=definition)
    url, named = "GET https://acme.test/{input.id}", {"credential": "acme"}
    for slug in ("acme", "free"):
        make_vendor(slug, adapter="http", url=url, definition=named)
    make_job(status=Status.WAITING, credential="VENDOR_KEY_1")

    def change(slug, keys='keys_env = ["VENDOR_KEY_2"]', other=other):
        vendor = f'[vendors.{slug}]\nadapter = "http"\nurl = "{url}"\n{other}\n'
        load(parse(f'{vendor}[credentials.other]\nheader = "X"\n{keys}\n'))

    with pytest.raises(FaultyVendorsError) as caught:
        change("acme")
    [fault] = caught.value.faults
    assert str(fault).startswith("vendors.acme.credential: Open jobs were called with VENDOR_KEY_1")
    change("free")  # its jobs need none
    retired = 'keys_env = ["VENDOR_KEY_2"]\nretired_env = ["VENDOR_KEY_1"]'
    change("acme", retired, 'credential = "other"')
    vendor = Vendor.objects.get(slug="acme")
    assert vendor.credential.slug == "other"
    typed = {"definition": 'credential = "acme"', "variables_again": "VENDOR_KEY_1"}
    assert "was changed" in text(edit(sign_in_as_superuser(), vendor, **typed))
