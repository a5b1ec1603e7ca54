"""Definitions and credentials are loaded from TOML, and compared key by key."""

from collections.abc import Callable

import pytest

from audit.models import Entry
from vendors.loading.text import definition_text
from vendors.loading.toml import parse_definition
from vendors.models import Credential, Vendor
from vendors.tests.loading.command import counts, error_of

pytestmark = pytest.mark.django_db

CREDENTIAL = """
[credentials.pdl]
header = "X-Api-Key"
keys_env = ["VENDOR_PDL_KEY"]
"""
VENDOR = """
[vendors.pdl]
adapter = "http"
url = "POST https://api.pdl.test/v5/person/{input.id}"
json = { name = "{input.name}", "a b" = [1, 1.5, true, { deep = [[]] }], note = "say \\"{{x}}\\"" }
input = { id = "required", name = "optional" }
credential = "pdl"
rate_limits = "10/s"
max_queued = ""
reference = "body.id"
outcomes = [{ status = 404, is = "no_data" }, { status = [400, 422], is = "invalid_input" }]
poll = { url = "GET https://api.pdl.test/v5/{ref}", every = "5s", give_up = "10min" }
"""


def test_a_vendor_is_loaded_with_its_credential_and_its_definition(
    load: Callable[..., str],
) -> None:
    printed = load(CREDENTIAL + VENDOR)
    not_set = "The variable VENDOR_PDL_KEY is not set. This is the environment of this command"
    assert printed.startswith(f"credential pdl: new\ncredential pdl: {not_set}")
    assert counts(printed) == "2 created, 0 changed, 0 unchanged"
    credential, vendor = Credential.objects.get(), Vendor.objects.get()
    assert credential.definition == {"header": "X-Api-Key", "keys_env": ["VENDOR_PDL_KEY"]}
    assert vendor.credential == credential
    assert (vendor.required_fields, vendor.max_queued) == (("id",), None)
    assert vendor.definition["poll"]["every"] == "5s"
    printed = load(CREDENTIAL + VENDOR)
    assert counts(printed) == "0 created, 0 changed, 2 unchanged"
    assert "kept" not in printed
    assert parse_definition(definition_text(vendor.definition)) == vendor.definition


def test_each_changed_key_is_printed_and_recorded(load: Callable[..., str]) -> None:
    load(CREDENTIAL + VENDOR)
    credential = CREDENTIAL.replace("X-Api-Key", "X-Key")
    vendor = VENDOR.replace('every = "5s"', 'every = "9s"').replace("true", "1")
    vendor = vendor.replace('input = { id = "required", name = "optional" }\n', "")
    expected = [
        "credential pdl: header: 'X-Api-Key' -> 'X-Key'",
        "pdl: json.\"a b\": [1, 1.5, True, {'deep': [[]]}] -> [1, 1.5, 1, {'deep': [[]]}]",
        "pdl: input: {'id': 'required', 'name': 'optional'} -> not set",
        "pdl: poll.every: '5s' -> '9s'",
    ]
    before = Vendor.objects.values().get()
    for options in (["--dry-run"], []):
        assert Vendor.objects.values().get() == before
        printed = load(credential + vendor, *options).split("\n")
        assert [line for line in printed if "->" in line] == expected
    changes = {entry.target: entry.changes for entry in Entry.objects.order_by("id")}
    assert changes["credential:pdl"] == {"header": ["X-Api-Key", "X-Key"]}
    assert changes["vendor:pdl"]["poll.every"] == ["5s", "9s"]


def test_a_file_may_hold_credentials_alone_or_name_known_ones(load: Callable[..., str]) -> None:
    missing = "vendors.toml: vendors.pdl.credential: There is no credential 'pdl'."
    assert error_of(load, VENDOR) == [f"{missing} Add it first, or to the same file."]
    assert counts(load(CREDENTIAL)) == "1 created, 0 changed, 0 unchanged"
    assert counts(load(VENDOR)) == "1 created, 0 changed, 0 unchanged"
    # With --only-new, what exists stays as it is.
    changed = CREDENTIAL.replace("X-Api-Key", "X-Key")
    assert counts(load(changed, "--only-new")) == "0 created, 0 changed, 1 unchanged"


def test_a_credential_may_not_change_so_that_another_vendor_cannot_use_it(
    load: Callable[..., str],
) -> None:
    load(CREDENTIAL + VENDOR)
    lines = error_of(load, CREDENTIAL.replace("header", "body"))
    assert [line.partition(" The")[0] for line in lines] == [
        "vendors.toml: credentials.pdl: Vendor pdl could not use it. poll.json:"
    ]
    assert Credential.objects.get().definition["header"] == "X-Api-Key"


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('every = "5s"', 'every = "soon"', "vendors.pdl.poll.every: Must be a duration"),
        ('every = "5s"', "every = 2026-01-01", "vendors.pdl.poll.every: Must be text"),
        ("[1, 1.5,", "[1, nan,", 'vendors.pdl.json."a b"[1]: Must be a finite number.'),
        ("{ref}", "{reff}", "vendors.pdl.poll.url: "),
        ('credential = "pdl"', "credential = 5", "vendors.pdl.credential: "),
        ("rate_limits", "colour", "vendors.pdl.colour: Unknown key. The known ones are adapter"),
        ('"POST https', '"https', "vendors.pdl.url: Put the method in front of the URL"),
        ("api.pdl.test/v5/person", "169.254.169.254", "vendors.pdl.url: 169.254.169.254 is a link"),
        ("api.pdl.test/v5/{ref}", "169.254.169.254/{ref}", "vendors.pdl.poll.url: 169.254.169.254"),
        ("X-Api-Key", "X Api", "credentials.pdl.header: Must be the name of a header"),
        ("VENDOR_PDL_KEY", "SECRET_KEY", "credentials.pdl.keys_env: SECRET_KEY is a setting"),
        ("[credentials.pdl]", "[credentials.'P L']", 'credentials."P L": Use only lower-case'),
        ("rate_limits", "api_key_env", "vendors.pdl.api_key_env: "),
        ('"http"', '"sync"', "vendors.pdl.url: Remove the method"),
    ],
)
def test_a_fault_names_the_full_path_of_its_key(
    load: Callable[..., str], old: str, new: str, fault: str
) -> None:
    assert old in CREDENTIAL + VENDOR
    lines = error_of(load, (CREDENTIAL + VENDOR).replace(old, new))
    assert any(line.startswith(f"vendors.toml: {fault}") for line in lines), lines
    assert not Vendor.objects.exists()
    assert not Credential.objects.exists()


@pytest.mark.sqlite
def test_a_long_table_stands_below_the_rest() -> None:
    definition = parse_definition(
        'cost = "body.cost"\n[json]\n"a.b" = ["x\\u007f", {}]\n'
        f'text = "{"x" * 90}"\n[json.c.d]\ne = "{"y" * 100}"\n'
    )
    text = definition_text(definition)
    assert "\n\n[json]\n" in text
    assert "\n\n[json.c.d]\n" in text
    assert parse_definition(text) == definition
