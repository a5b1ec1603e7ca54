from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError

from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.django_db

ACME = '[vendors.acme]\nadapter = "sync"\nurl = "https://acme.test/"\nrate_limits = "50/s"\n'


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that writes a file, loads it and returns the output."""
    monkeypatch.chdir(tmp_path)

    def load(text: str, *options: str) -> str:
        Path("vendors.toml").write_text(text)
        return run("vendors.toml", *options)

    return load


def run(*arguments: str) -> str:
    printed = StringIO()
    call_command("load_vendors", *arguments, stdout=printed)
    return printed.getvalue().strip()


def counts(printed: str) -> str:
    return printed.split("\n")[-1]


def error_of(call: Callable[..., str], *arguments: str) -> list[str]:
    with pytest.raises(CommandError) as caught:
        call(*arguments)
    return str(caught.value).split("\n")


def test_new_vendors_are_created_with_defaults(load: Callable[..., str]) -> None:
    assert counts(load(ACME)) == "1 created, 0 changed, 0 unchanged"
    vendor = Vendor.objects.get(slug="acme")
    assert (vendor.url, vendor.rate_limits, vendor.redact, vendor.max_attempts) == (
        "https://acme.test/",
        "50/s",
        "ssn",
        5,
    )


def test_loading_the_same_file_again_changes_nothing(load: Callable[..., str]) -> None:
    text = ACME + "timeout_seconds = 5\nredact = ['a', 'b']\n"
    load(text)
    assert counts(load(text)) == "0 created, 0 changed, 1 unchanged"


def test_only_named_fields_are_changed(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", max_in_flight=7, redact="dob", paused=True)
    assert counts(load(ACME)) == "0 created, 1 changed, 0 unchanged"
    vendor = Vendor.objects.get(slug="acme")
    assert (vendor.rate_limits, vendor.max_in_flight, vendor.redact, vendor.paused) == (
        "50/s",
        7,
        "dob",
        True,
    )


def test_only_new_keeps_existing_vendors(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", rate_limits="1/h")
    text = ACME + ACME.replace("acme", "other")
    assert counts(load(text, "--only-new")) == "1 created, 0 changed, 1 unchanged"
    assert Vendor.objects.get(slug="acme").rate_limits == "1/h"
    assert Vendor.objects.filter(slug="other").exists()


def test_one_fault_prevents_all_writes(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", rate_limits="1/h")
    text = f"""{ACME}
[vendors."New One"]
adapter = "nope"
url = "acme.test"
rate_limits = "10/x"
max_attempts = 0
"""
    lines = error_of(load, text)
    assert [line.split(" is ")[0] for line in lines] == [
        f'vendors.toml: vendors."New One".{fault}'
        for fault in (
            "slug: Use only lower-case letters, digits, - and _, and start with a letter or digit.",
            "adapter: 'nope'",
            "url: Enter a full URL that starts with https:// or http://.",
            "rate_limits: '10/x'",
            "max_attempts: Ensure this value",
        )
    ]
    assert list(Vendor.objects.values_list("slug", "rate_limits")) == [("acme", "1/h")]


def test_an_error_names_the_file_and_the_key(load: Callable[..., str]) -> None:
    assert error_of(load, "[vendors.acme]\nurl = 5\n") == [
        "vendors.toml: vendors.acme.adapter: This key is required.",
        'vendors.toml: vendors.acme.url: Must be a string, such as "https://example.com".',
    ]


def test_all_faults_are_reported_at_once(load: Callable[..., str]) -> None:
    other = '[vendors.other]\nurl = "ftp://other.test/"\napi_key_env = "OTHER_KEY"\n'
    text = ACME.replace('"50/s"', '"50/x"') + 'max_attempts = "5"\n' + other
    lines = error_of(load, text)
    assert [line.split(": ")[1] for line in lines] == [
        "vendors.acme.max_attempts",
        "vendors.acme.rate_limits",
        "vendors.other.adapter",
        "vendors.other.url",
        "vendors.other.api_key_env",
    ]
    assert lines[0] == "vendors.toml: vendors.acme.max_attempts: Must be a whole number."
    assert "Rename the variable, for example to VENDOR_OTHER_KEY" in lines[4]
    assert not Vendor.objects.exists()


def test_each_change_is_printed_with_vendor_and_field(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor(
        "acme",
        url="https://acme.test/",
        rate_limits="10/s",
        max_in_flight=7,
        redact="dob",
        enabled=False,
    )
    make_vendor("globex")
    printed = load(ACME + '[vendors.other]\nadapter = "async"\nurl = "https://other.test/"\n')
    assert printed.split("\n") == [
        "acme: rate_limits: '10/s' -> '50/s'",
        "acme: not in the file, kept: enabled = False, max_in_flight = 7, redact = 'dob'. "
        "To clear a field, set it to an empty value.",
        "other: new",
        "Not in the file, unchanged: globex",
        "1 created, 1 changed, 0 unchanged",
    ]


def test_a_change_is_in_the_history_with_its_old_value(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    vendor = make_vendor("acme", url="https://acme.test/", rate_limits="10/s")
    load(ACME)
    load(ACME)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.object_repr, entry.user.username) == (
        vendor.pk,
        "acme",
        "load_vendors",
    )
    assert entry.get_change_message() == "Changed rate_limits: '10/s' → '50/s', from vendors.toml."
    assert not entry.user.is_active
    assert not entry.user.has_usable_password()


def test_a_dry_run_prints_the_changes_and_writes_nothing(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", url="https://acme.test/", rate_limits="10/s")
    text = ACME + ACME.replace("acme", "other")
    printed = load(text, "--dry-run")
    assert printed.split("\n") == [
        "acme: rate_limits: '10/s' -> '50/s'",
        "other: new",
        "Dry run, nothing written: 1 would be created, 1 changed, 0 unchanged",
    ]
    assert list(Vendor.objects.values_list("slug", "rate_limits")) == [("acme", "10/s")]
    assert not LogEntry.objects.exists()
    assert error_of(load, text.replace("50/s", "50/x"), "--dry-run")


def test_unset_variables_are_printed(
    load: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = "VENDOR_ACME_API_KEY", "VENDOR_ACME_WEBHOOK_SECRET"
    text = f'{ACME}api_key_env = "{key}"\nwebhook_secret_env = "{secret}"\n'
    printed = load(text)
    not_set = "is not set. This is the environment of this command"
    assert f"acme: api_key_env: The variable {key} {not_set}" in printed
    assert f"acme: webhook_secret_env: The variable {secret} {not_set}" in printed
    monkeypatch.setenv(key, "k3y")
    monkeypatch.setenv(secret, "whsec_abcd")
    assert "not set" not in load(text)


def test_only_new_does_not_validate_existing_vendors(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", url="https://acme.test/", api_key_env="ACME_API_KEY")
    text = ACME + 'api_key_env = "ACME_API_KEY"\n' + ACME.replace("acme", "other")
    printed = load(text, "--only-new")
    assert counts(printed) == "1 created, 0 changed, 1 unchanged"
    assert "acme: api_key_env: ACME_API_KEY is not read" in printed
    assert "ACME_API_KEY is not read" in error_of(load, text)[0]


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    missing, folder, binary = tmp_path / "missing.toml", tmp_path, tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert error_of(run, str(missing)) == [f"{missing} can't be read: No such file or directory."]
    assert error_of(run, str(folder)) == [f"{folder} can't be read: Is a directory."]
    assert error_of(run, str(binary)) == [f"{binary} is not UTF-8 text."]


def test_the_mock_vendors_are_created_once(make_vendor: Callable[..., Vendor]) -> None:
    assert (
        counts(run("--mocks", "http://127.0.0.1:8001", "--only-new"))
        == "2 created, 0 changed, 0 unchanged"
    )
    assert (
        counts(run("--mocks", "http://127.0.0.1:9999", "--only-new"))
        == "0 created, 0 changed, 2 unchanged"
    )
    assert sorted(
        Vendor.objects.values_list("slug", "url", "timeout_seconds", "callback_timeout_seconds")
    ) == [
        ("async", "http://127.0.0.1:8001/mock-vendors/async", 10, 60),
        ("sync", "http://127.0.0.1:8001/mock-vendors/sync", 10, 3600),
    ]


def test_an_invalid_url_of_the_mock_vendors_is_an_error() -> None:
    faults = error_of(run, "--mocks", "127.0.0.1:8001")
    message = "Enter a full URL that starts with https:// or http://."
    assert faults == [
        f"127.0.0.1:8001: vendors.{slug}.url: {message}" for slug in ("sync", "async")
    ]
    assert not Vendor.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["vendors.toml", "--mocks", "http://127.0.0.1"]])
def test_a_file_and_mocks_are_mutually_exclusive(arguments: list[str]) -> None:
    assert len(error_of(run, *arguments)) == 1


def test_a_race_to_create_a_vendor_is_retried(
    load: Callable[..., str], make_vendor: Callable[..., Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, raced = Vendor.save, []

    def lose_the_race(vendor: Vendor, **options: object) -> None:
        if not raced:
            raced.append(True)
            raise IntegrityError("UNIQUE constraint failed")
        save(vendor, **options)

    monkeypatch.setattr(Vendor, "save", lose_the_race)
    assert counts(load(ACME, "--only-new")) == "1 created, 0 changed, 0 unchanged"


@pytest.mark.sqlite  # MongoDB does not roll back; loading the file again completes it
def test_a_failure_half_way_is_rolled_back(
    load: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Vendor.save

    def fail_at_the_second(vendor: Vendor, **options: object) -> None:
        if vendor.slug == "other":
            raise OperationalError("disk full")
        save(vendor, **options)

    monkeypatch.setattr(Vendor, "save", fail_at_the_second)
    with pytest.raises(OperationalError):
        load(ACME + ACME.replace("acme", "other"))
    assert not Vendor.objects.exists()


def test_a_concurrent_pause_is_kept(
    load: Callable[..., str], make_vendor: Callable[..., Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_vendor("acme")
    monkeypatch.setattr(Vendor, "full_clean", lambda vendor: Vendor.objects.update(paused=True))
    load(ACME)
    assert Vendor.objects.get().paused


def test_loaded_vendors_are_visible_at_once(load: Callable[..., str]) -> None:
    assert catalogue.get("acme") is None
    load(ACME)
    assert catalogue.get("acme") is not None
