"""What load_vendors prints: the changes, or every error with its key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.models import Entry
from vendors.models import Vendor
from vendors.tests.loading.command import ACME, error_of, run

pytestmark = pytest.mark.django_db


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
        f'vendors.toml: vendors."New One"{fault}'
        for fault in (
            ": Use only lower-case letters, digits, - and _, and start with a letter or digit.",
            ".adapter: 'nope'",
            ".url: Enter a full URL that starts with https:// or http://.",
            ".rate_limits: '10/x'",
            ".max_attempts: Ensure this value",
        )
    ]
    assert list(Vendor.objects.values_list("slug", "rate_limits")) == [("acme", "1/h")]


def test_an_error_names_the_file_and_the_key(load: Callable[..., str]) -> None:
    assert error_of(load, "[vendors.acme]\nurl = 5\n") == [
        "vendors.toml: vendors.acme.adapter: This key is required.",
        'vendors.toml: vendors.acme.url: Must be a string, such as "GET https://api.example.com/v1/people".',
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
        "To change a setting, name it in the file.",
        "other: new",
        "Not in the file, unchanged: globex",
        "1 created, 1 changed, 0 unchanged",
    ]


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
    assert not Entry.objects.exists()
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


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    missing, folder, binary = tmp_path / "missing.toml", tmp_path, tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert error_of(run, str(missing)) == [f"{missing} can't be read: No such file or directory."]
    assert error_of(run, str(folder)) == [f"{folder} can't be read: Is a directory."]
    assert error_of(run, str(binary)) == [f"{binary} is not UTF-8 text."]


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


def test_where_callbacks_come_is_printed(load: Callable[..., str], settings: Any) -> None:
    callback = '{ header = "X-Secret", secret_env = "VENDOR_ACME_SECRET", reference = "body.id" }'
    text = (
        '[vendors.acme]\nadapter = "http"\nurl = "POST https://acme.test/"\njson = {}\n'
        f'reference = "body.id"\ncallback = {callback}\n'
    )
    tell, unreachable = "acme: Tell the vendor to post its answers to", "which only this machine"
    settings.PUBLIC_URL = "http://localhost:8000"
    printed = load(text)
    assert f"{tell} http://localhost:8000/vendor-webhook/acme\n" in printed
    assert f"acme: PUBLIC_URL is http://localhost:8000, {unreachable} reaches" in printed
    settings.PUBLIC_URL = "https://gateway.example"
    printed = load(text)
    assert f"{tell} https://gateway.example/vendor-webhook/acme\n" in printed
    assert unreachable not in printed
