"""Named limits are loaded from TOML, before the vendors that name them."""

from collections.abc import Callable

import pytest

from audit.models import Entry
from vendors.catalogue import catalogue
from vendors.definitions.limit import parse_limit
from vendors.loading.text import definition_text
from vendors.loading.toml import parse_definition
from vendors.models import Limit, Vendor
from vendors.tests.loading.command import counts, error_of

pytestmark = pytest.mark.django_db
LIMITS = """
[limits.team]
windows = "100/min"
[limits.month]
quota = { calls = 5000, period = "month", from = 17, zone = "Europe/Berlin", spent = "fail" }
"""
CREDENTIAL = '[credentials.acme]\nheader = "X-Api-Key"\nkeys_env = ["VENDOR_ACME_KEY"]\n'
VENDOR = """
[vendors.acme]
adapter = "http"
url = "POST https://acme.test/v1/{input.id}"
reference = "body.id"
rate_limits = "50/s"
limits = ["team", "month"]
weight = 5
poll = { url = "GET https://acme.test/v1/{ref}", weight = 0 }
"""
OTHER = """
[vendors.other]
adapter = "sync"
url = "https://other.test/"
limits = ["team"]
weight = 20
poll = { every = "5s", weight = 3 }
"""


def test_a_vendor_is_loaded_with_its_limits(load: Callable[..., str]) -> None:
    printed = load(LIMITS + VENDOR + OTHER)
    assert printed.startswith("limit team: new\nlimit month: new\nacme: new\nother: new\n")
    assert "limit team: used by acme, other\nlimit month: used by acme\n" in printed
    assert counts(printed) == "4 created, 0 changed, 0 unchanged"
    acme, other = catalogue.all()["acme"], catalogue.all()["other"]
    assert [limit.slug for limit in acme.limits] == acme.limit_names == ["team", "month"]
    assert (acme.weight, acme.poll_weight, other.weight, other.poll_weight) == (5, 0, 20, 3)
    assert acme.limits[1].rules == parse_limit(Limit.objects.get(slug="month").definition)
    assert counts(load(LIMITS + VENDOR + OTHER)) == "0 created, 0 changed, 4 unchanged"
    assert parse_definition(definition_text(acme.definition)) == acme.definition


def test_a_limit_that_no_vendor_names_any_more_is_printed(load: Callable[..., str]) -> None:
    load(LIMITS + VENDOR + OTHER)
    line = "Used by no vendor any more: limit month. Delete it in the console if it is not needed."
    for options in (["--dry-run"], []):
        assert line in load(VENDOR.replace('["team", "month"]', "[]"), *options).split("\n")


def test_each_changed_key_of_a_limit_is_printed_and_recorded(load: Callable[..., str]) -> None:
    load(LIMITS + VENDOR)
    version = Limit.objects.get(slug="month").version
    changed = LIMITS.replace("from = 17, ", "").replace("calls = 5000", "calls = 6000")
    for options in (["--dry-run"], []):
        assert Limit.objects.get(slug="month").version == version
        printed = load(changed, *options).split("\n")
        assert printed[:3] == [
            "limit month: quota.calls: 5000 -> 6000",
            "limit month: quota.from: 17 -> not set",
            "limit month: used by acme",
        ]
    # The workers notice by the number, whatever has changed.
    assert Limit.objects.get(slug="month").version == version + 1
    entry = Entry.objects.get(action="limit.changed")
    assert entry.changes == {"quota.calls": [5000, 6000], "quota.from": [17, None]}


def test_a_file_may_name_limits_that_exist_or_hold_limits_alone(load: Callable[..., str]) -> None:
    assert error_of(load, VENDOR) == [
        f"vendors.toml: vendors.acme.limits[{index}]: There is no limit {name!r}. Add it first, or "
        "to the same file."
        for index, name in enumerate(["team", "month"])
    ]
    assert counts(load(LIMITS)) == "2 created, 0 changed, 0 unchanged"
    assert counts(load(VENDOR)) == "1 created, 0 changed, 0 unchanged"
    changed = LIMITS.replace("100/min", "1/min")
    assert counts(load(changed, "--only-new")) == "0 created, 0 changed, 2 unchanged"


def test_a_limit_may_not_change_so_that_another_vendor_cannot_use_it(
    load: Callable[..., str],
) -> None:
    load(LIMITS + VENDOR + OTHER)
    per_key = LIMITS.replace('"100/min"', '"9/min"\nper = "credential"')
    lines = error_of(load, per_key)
    assert [line.partition(", ")[0].removeprefix("vendors.toml: ") for line in lines] == [
        "limits.team: Vendor acme could not use it. limits[0]: The limit 'team' counts each key on "
        "its own",
        "limits.team: Vendor other could not use it. limits[0]: The limit 'team' counts each key "
        "on its own",
        "limits.team: Vendor other could not use it. weight: Must be at most 9",
    ]
    # Changed together with all of its vendors, it may.
    named = VENDOR.replace("limits = [", 'credential = "acme"\nlimits = [')
    load(per_key + CREDENTIAL + named + OTHER.replace('"team"', '"month"'))
    assert Limit.objects.get(slug="team").rules.per_credential


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("100/min", "100/x", "limits.team.windows: '100/x' is not a valid rate limit."),
        (
            "100/min",
            "5/month",
            "limits.team.windows: '5/month' is not a valid rate limit. ",
        ),
        (
            "windows",
            "rate_limits",
            "limits.team.rate_limits: Unknown key. Here it is called",
        ),
        (
            "from = 17",
            "reset = 1",
            "limits.month.quota.reset: Unknown key. Say when it is",
        ),
        (
            "weight = 5",
            "quota = {}",
            "vendors.acme.quota: Unknown key. It belongs in a table",
        ),
        ('"50/s"', "X-Key", "Not valid TOML: Invalid value (at line 11, column 15)"),
        ("from = 17", "from = 32", "limits.month.quota.from: Must be a whole number from 1 to 31."),
        ("from = 17", "from = 2026-01-17", "limits.month.quota.from: Must be text"),
        ("[limits.team]", "[limits.'T 1']", 'limits."T 1": Use only lower-case'),
        ("[limits.team]\nwindows", "[limits]\nteam", "limits.team: Must be a table [limits.team]."),
        ('["team", "month"]', '"team"', "vendors.acme.limits: Must be a list of names of tables"),
        ('["team", "month"]', '["team", 5]', "vendors.acme.limits[1]: Must be the name of a table"),
        ('"month"]', '"team"]', "vendors.acme.limits[1]: 'team' stands in the list twice."),
        (
            '"month"]',
            '"moth"]',
            "vendors.acme.limits[1]: There is no limit 'moth'. Add it first",
        ),
        ('"month"]', f'"month"{8 * ", 5"}]', "vendors.acme.limits: Must be at most 8 names."),
        ("weight = 5", "weight = 0", "vendors.acme.weight: Must be a whole number from 1 to 100."),
        ("weight = 5", "weight = true", "vendors.acme.weight: Must be a whole number from 1 to"),
        ("weight = 5", "weight = 51", "vendors.acme.weight: Must be at most 50, because rate_lim"),
        ("weight = 0", "weight = 101", "vendors.acme.poll.weight: Must be a whole number from 0"),
        ("weight = 0", "weight = 60", "vendors.acme.poll.weight: Must be at most 50, because"),
        ("calls = 5000", "calls = 4", "vendors.acme.weight: Must be at most 4, because the quota"),
        ("weight = 3", "weight = -1", "vendors.other.poll.weight: Must be a whole number from 0"),
        ("weight = 20", "weight = '1'", "vendors.other.weight: Must be a whole number from 1"),
        ("every = ", "url = ", "vendors.other.poll.url: Unknown key. The known ones are after"),
    ],
)
def test_a_fault_names_the_full_path_of_its_key(
    load: Callable[..., str], old: str, new: str, fault: str
) -> None:
    assert old in LIMITS + VENDOR + OTHER
    lines = error_of(load, (LIMITS + VENDOR + OTHER).replace(old, new))
    assert any(line.startswith(f"vendors.toml: {fault}") for line in lines), lines
    assert not Vendor.objects.exists()
    assert not Limit.objects.exists()


@pytest.mark.sqlite
def test_a_vendor_that_joins_or_leaves_a_limit_is_counted_anew(load: Callable[..., str]) -> None:
    load(LIMITS + VENDOR)
    joined = Vendor.objects.get().membership
    load(VENDOR.replace("50/s", "60/s"))
    assert Vendor.objects.get().membership == joined
    load(VENDOR.replace('"team", ', ""))
    assert Vendor.objects.get().membership != joined
