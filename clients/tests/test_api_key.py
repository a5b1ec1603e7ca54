"""manage.py api_key: the key alone on standard output, everything else beside it."""

import getpass
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import Entry
from clients.directory import Directory
from clients.keys import is_well_formed, new_key
from clients.models import ApiKey, Client

pytestmark = pytest.mark.django_db


def run(*arguments):
    """Return what is printed on standard output and standard error."""
    output, errors = StringIO(), StringIO()
    call_command("api_key", *arguments, stdout=output, stderr=errors)
    return output.getvalue(), errors.getvalue()


def created(*arguments):
    """Create a key and return it."""
    output, _ = run("create", *arguments)
    return output.strip()


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return str(caught.value)


def test_create_prints_the_key_alone(db):
    output, errors = run("create", "--client", "billing", "--new-client", "--name", "import")
    assert is_well_formed(output.removesuffix("\n"))
    assert errors.splitlines() == [
        "Client billing is new.",
        f"API key {output[:12]} of client billing: valid until it is revoked.",
        "Keep it now: it can't be shown again.",
    ]
    caller = Directory().find(output.strip(), "", timezone.now())
    assert (caller.client, caller.key.name) == ("billing", "import")
    assert caller.scopes == {"jobs:submit", "jobs:read", "jobs:manage"}
    assert {entry.actor for entry in Entry.objects.all()} == {f"command line ({getpass.getuser()})"}


def test_create_sets_what_the_key_may(make_vendor):
    make_vendor()
    allowed = ["--vendors", "acme", "--addresses", "10.0.0.0/8", "--scopes", "metrics:read"]
    created(*allowed, "--expires-in", "90d")
    key = ApiKey.objects.get()
    assert (key.client.slug, key.vendors, key.addresses) == ("default", "acme", "10.0.0.0/8")
    assert key.granted_scopes == {"metrics:read"}
    assert abs(key.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        ("2037-01-31T12:00Z", datetime(2037, 1, 31, 12, tzinfo=UTC)),
        ("2037-01-31T12:00+02:00", datetime(2037, 1, 31, 10, tzinfo=UTC)),
        ("2037-01-31", datetime(2037, 1, 31, tzinfo=UTC)),
    ],
)
def test_create_takes_a_time_of_expiry(db, text, expires_at):
    created("--expires-at", text)
    assert ApiKey.objects.get().expires_at == expires_at


KEY = new_key()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--client", "billing"], "There is no client 'billing'. Known clients: default. "),
        (["--client", "A b", "--new-client"], "--client: Use only lower-case letters"),
        (["--scopes", "jobs:all"], "--scopes: There is no scope jobs:all. Choose from jobs:submit"),
        (["--vendors", "acmee"], "--vendors: There is no vendor acmee. Known vendors: acme."),
        (["--addresses", "10.0.0.1/8"], "--addresses: 10.0.0.1/8 has host bits set."),
        (
            ["--expires-in", "soon"],
            "'soon' is not a duration in min, h, d or w, such as 30min, 24h, 90d or 8w",
        ),
        (["--expires-in", "0"], "--expires-in: Choose a time above 0."),
        (["--expires-in", "9000000d"], "the longest duration is 36500d"),
        (["--expires-at", "2020-01-31"], "--expires-at: Choose a time in the future."),
        (["--expires-at", "9999-12-31"], "--expires-at: Choose a time within 100 years, or none"),
        (["--expires-at", "9999-12-31T23:59:59-12:00"], "is not an ISO 8601 time"),
        (["--vendors", ","], "--vendors: Write at least one word, or leave this empty."),
        (["--addresses", ", ,"], "--addresses: Write at least one word, or leave this empty."),
        (["--scopes", ","], "--scopes: Choose from jobs:submit"),
        (["--name", KEY], "--name: Remove the API key from the name."),
        (["--expires-at", "2037-01-31T12:00"], "has no time zone: write for example 2037-01-31T12"),
        (["--expires-at", "tomorrow"], "is not an ISO 8601 time, such as 2027-01-31T12:00Z"),
        (["--expires-at", "2037-01-31", "--expires-in", "1d"], "not allowed with argument"),
    ],
)
def test_create_explains_what_is_wrong(make_vendor, arguments, sentence):
    make_vendor()
    Client.objects.create(slug="default")
    assert sentence in refused("create", *arguments)
    assert not ApiKey.objects.exists()


def test_no_client_is_created_for_a_faulty_key(db):
    refused("create", "--client", "billing", "--new-client", "--scopes", "jobs:all")
    assert not Client.objects.exists()
    assert not Entry.objects.exists()


def test_create_says_that_the_client_is_disabled(db):
    Client.objects.create(slug="billing", enabled=False)
    assert "the client billing is disabled" in run("create", "--client", "billing")[1]


def test_list_shows_state_and_last_use_but_no_secret(db):
    keys = [created("--client", slug, "--new-client") for slug in ("billing", "crm", "crm")]
    new = run("rotate", keys[1])[0].strip()
    run("revoke", keys[2])
    used_at = datetime(2026, 1, 31, 12, 5, tzinfo=UTC)
    ApiKey.objects.filter(public=keys[0][4:12]).update(last_used_at=used_at)
    heading, *rows = run("list")[0].splitlines()
    assert re.split("  +", heading) == ["KEY", "CLIENT", "NAME", "SCOPES", "STATE", "LAST USED"]
    cells = [re.split("  +", row) for row in rows]
    assert [row[0] for row in cells] == [key[:12] for key in (*keys, new)]
    assert [row[1] for row in cells] == ["billing", "crm", "crm", "crm"]
    assert (cells[0][4], cells[0][5]) == ("active", "2026-01-31 12:05 UTC")
    assert re.fullmatch(rf"active until .* UTC, replaced by {new[:12]}", cells[1][4])
    assert cells[2][4].startswith("revoked 20")
    for key in (*keys, new):
        assert key[12:] not in run("list")[0]
    assert len(run("list", "--client", "billing")[0].splitlines()) == 2
    assert "There is no client 'bill'. Known clients: billing, crm." in refused(
        "list", "--client", "bill"
    )


def test_list_without_keys_says_how_to_make_one(db):
    assert run("list") == ("", "There are no API keys. manage.py api_key create makes one.\n")


@pytest.mark.parametrize("form", ["elk_AbCd1234", "AbCd1234", "whole key"])
def test_a_key_is_named_by_its_first_characters_or_all(db, form):
    key = created()
    names = {"elk_AbCd1234": key[:12], "AbCd1234": key[4:12], "whole key": key}
    output, errors = run("rotate", names[form], "--overlap", "30min")
    assert is_well_formed(output.strip())
    assert re.match(rf"API key {output[:12]} replaces {key[:12]}, which is valid until ", errors)
    output, errors = run("revoke", names[form], "--reason", "Leaked.")
    assert output == f"{key[:12]} of client default is revoked: refused within a second.\n"
    assert Entry.objects.get(action="api_key.revoked").reason == "Leaked."
    output, _ = run("revoke", names[form])
    assert output.startswith(f"{key[:12]} was revoked before, at 20")
    assert "Create a new key." in refused("rotate", names[form])


@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_a_wrong_key_is_not_repeated(db, action):
    key = new_key()
    assert refused(action, key) == (
        f"There is no API key {key[:12]}. manage.py api_key list shows all."
    )
    mistyped = key[:-1]
    assert refused(action, mistyped) == (
        "That does not name an API key. Write its first characters: elk_AbCd1234"
    )


def test_an_overlap_above_a_week_is_refused(db):
    key = created()
    assert "0 to 7 days" in refused("rotate", key, "--overlap", "8d")
    assert "is not a duration" in refused("rotate", key, "--overlap=-1h")
    run("rotate", key, "--overlap", "0")
    assert Directory().find(key, "", timezone.now()) is None
