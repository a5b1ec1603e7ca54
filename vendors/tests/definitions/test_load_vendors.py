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
    """Write a file, load it and return what the command prints."""
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


def test_unknown_vendors_are_created_with_sound_defaults(load: Callable[..., str]) -> None:
    assert counts(load(ACME)) == "1 created, 0 changed, 0 unchanged"
    vendor = Vendor.objects.get(slug="acme")
    assert (vendor.url, vendor.rate_limits, vendor.redact, vendor.max_attempts) == (
        "https://acme.test/",
        "50/s",
        "ssn",
        5,
    )


def test_the_same_file_again_changes_nothing(load: Callable[..., str]) -> None:
    text = ACME + "timeout_seconds = 5\nredact = ['a', 'b']\n"
    load(text)
    assert counts(load(text)) == "0 created, 0 changed, 1 unchanged"


def test_only_the_named_fields_are_changed(
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


def test_what_an_operator_changed_stays_with_only_new(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", rate_limits="1/h")
    text = ACME + ACME.replace("acme", "other")
    assert counts(load(text, "--only-new")) == "1 created, 0 changed, 1 unchanged"
    assert Vendor.objects.get(slug="acme").rate_limits == "1/h"
    assert Vendor.objects.filter(slug="other").exists()


def test_one_fault_and_nothing_is_written(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", rate_limits="1/h")
    text = (
        ACME
        + '\n[vendors."New One"]\nadapter = "nope"\nurl = "acme.test"\nrate_limits = "10/x"\nmax_attempts = 0\n'
    )
    lines = error_of(load, text)
    assert lines[0] == (
        "vendors.toml line 6: New One: slug: Use lower-case letters, digits, - and _ only, and begin with a letter or digit."
    )
    assert [line.split(" is ")[0] for line in lines[1:]] == [
        "vendors.toml line 7: New One: adapter: 'nope'",
        "vendors.toml line 8: New One: url: Must be a whole address that starts with https:// or http://.",
        "vendors.toml line 9: New One: rate_limits: '10/x'",
        "vendors.toml line 10: New One: max_attempts: Ensure this value",
    ]
    assert list(Vendor.objects.values_list("slug", "rate_limits")) == [("acme", "1/h")]


def test_a_fault_of_form_is_told_with_file_and_line(load: Callable[..., str]) -> None:
    assert error_of(load, "[vendors.acme]\nurl = 5\n") == [
        "vendors.toml line 1: acme: adapter: is missing.",
        'vendors.toml line 2: acme: url: must be a text in quotes, such as "https://example.com".',
    ]


def test_all_faults_are_told_in_one_round(load: Callable[..., str]) -> None:
    text = (
        ACME.replace('"50/s"', '"50/x"')
        + 'max_attempts = "5"\n[vendors.other]\nurl = "ftp://other.test/"\napi_key_env = "OTHER_KEY"\n'
    )
    lines = error_of(load, text)
    assert [line.partition(": ")[2].split(": ")[1] for line in lines] == [
        "rate_limits",
        "max_attempts",
        "adapter",
        "url",
        "api_key_env",
    ]
    assert lines[1] == "vendors.toml line 5: acme: max_attempts: must be a whole number."
    assert "Rename the variable, for example to VENDOR_OTHER_KEY" in lines[4]
    assert not Vendor.objects.exists()


def test_what_changes_is_told_by_vendor_and_field(
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
        "acme: kept, though the file does not name it: enabled = False, max_in_flight = 7, redact = 'dob'. "
        "To clear a field, write it with an empty value.",
        "other: is new",
        "Not in the file, and left as they are: globex",
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


def test_a_dry_run_tells_the_same_and_writes_nothing(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", url="https://acme.test/", rate_limits="10/s")
    text = ACME + ACME.replace("acme", "other")
    printed = load(text, "--dry-run")
    assert printed.split("\n") == [
        "acme: rate_limits: '10/s' -> '50/s'",
        "other: is new",
        "Dry run, nothing is written: 1 would be created, 1 changed, 0 left unchanged",
    ]
    assert list(Vendor.objects.values_list("slug", "rate_limits")) == [("acme", "10/s")]
    assert not LogEntry.objects.exists()
    assert error_of(load, text.replace("50/s", "50/x"), "--dry-run")


def test_variables_that_are_not_set_are_told(
    load: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        ACME
        + 'api_key_env = "VENDOR_ACME_API_KEY"\nwebhook_secret_env = "VENDOR_ACME_WEBHOOK_SECRET"\n'
    )
    printed = load(text)
    assert (
        "acme: api_key_env: The variable VENDOR_ACME_API_KEY is not set. That is so here" in printed
    )
    assert (
        "acme: webhook_secret_env: The variable VENDOR_ACME_WEBHOOK_SECRET is not set. That is so here"
        in printed
    )
    monkeypatch.setenv("VENDOR_ACME_API_KEY", "k3y")
    monkeypatch.setenv("VENDOR_ACME_WEBHOOK_SECRET", "whsec_abcd")
    assert "not set" not in load(text)


def test_vendors_of_an_earlier_release_do_not_keep_new_ones_from_being_loaded(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", url="https://acme.test/", api_key_env="ACME_API_KEY")
    text = ACME + 'api_key_env = "ACME_API_KEY"\n' + ACME.replace("acme", "other")
    printed = load(text, "--only-new")
    assert counts(printed) == "1 created, 0 changed, 1 unchanged"
    assert "acme: api_key_env: ACME_API_KEY is not read" in printed
    assert "ACME_API_KEY is not read" in error_of(load, text)[0]


def test_a_file_that_can_not_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    missing, folder, binary = tmp_path / "missing.toml", tmp_path, tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert error_of(run, str(missing)) == [f"{missing} can't be read: No such file or directory."]
    assert error_of(run, str(folder)) == [f"{folder} can't be read: Is a directory."]
    assert error_of(run, str(binary)) == [f"{binary} is not UTF-8 text."]


def test_the_pretend_vendors_are_created_once(make_vendor: Callable[..., Vendor]) -> None:
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


def test_a_base_that_is_no_address_is_refused() -> None:
    lines = error_of(run, "--mocks", "127.0.0.1:8001")
    assert (
        lines[0]
        == "127.0.0.1:8001: async: url: Must be a whole address that starts with https:// or http://."
    )
    assert not Vendor.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["vendors.toml", "--mocks", "http://127.0.0.1"]])
def test_a_file_or_the_pretend_vendors_but_not_both(arguments: list[str]) -> None:
    assert len(error_of(run, *arguments)) == 1


def test_another_process_that_creates_the_same_vendor_does_no_harm(
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


@pytest.mark.sqlite  # on MongoDB there is nothing to roll back; what was loaded is found when the file is loaded again
def test_a_store_that_fails_half_way_keeps_nothing(
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


def test_a_pause_that_comes_meanwhile_stays(
    load: Callable[..., str], make_vendor: Callable[..., Vendor], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_vendor("acme")
    monkeypatch.setattr(Vendor, "full_clean", lambda vendor: Vendor.objects.update(paused=True))
    load(ACME)
    assert Vendor.objects.get().paused


def test_the_process_that_loads_sees_the_vendors_at_once(load: Callable[..., str]) -> None:
    assert catalogue.get("acme") is None
    load(ACME)
    assert catalogue.get("acme") is not None
