"""load_vendors creates and updates vendors, all or none."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, OperationalError

from audit.models import Entry
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.tests.loading.command import ACME, counts, error_of, run

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize(
    ("adapter", "line", "required"),
    [
        ("sync", "", ("name",)),
        ("async", "", ("name",)),
        ("adapters.faulty.Sound", "", ()),
        ("sync", "required_input = []", ()),
        ("adapters.faulty.Sound", "required_input = ['email', 'city']", ("email", "city")),
    ],
)
def test_built_in_adapters_require_a_name_unless_the_file_says_otherwise(
    load: Callable[..., str], adapter: str, line: str, required: tuple[str, ...]
) -> None:
    text = ACME.replace('"sync"', f'"{adapter}"') + line
    load(text)
    assert Vendor.objects.get().required_fields == required
    assert "kept" not in load(text)


@pytest.mark.parametrize("names", ["['vendor']", "['name', 'options']", "'name'", "['a b']"])
def test_required_input_is_a_list_of_names_that_are_passed_on(
    load: Callable[..., str], names: str
) -> None:
    errors = error_of(load, f"{ACME}required_input = {names}")
    assert any("vendors.acme.required_input: " in line for line in errors), errors


def test_only_new_keeps_existing_vendors(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", rate_limits="1/h")
    text = ACME + ACME.replace("acme", "other")
    assert counts(load(text, "--only-new")) == "1 created, 0 changed, 1 unchanged"
    assert Vendor.objects.get(slug="acme").rate_limits == "1/h"
    assert Vendor.objects.filter(slug="other").exists()


def test_a_change_is_in_the_trail_with_its_old_value(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", url="https://acme.test/", rate_limits="10/s")
    load(ACME)
    load(ACME)
    entry = Entry.objects.get()
    assert (entry.action, entry.target, entry.reason) == (
        *("vendor.changed", "vendor:acme"),
        "From vendors.toml.",
    )
    assert entry.changes == {"rate_limits": ["10/s", "50/s"]}
    assert entry.actor.startswith("command line")


def test_only_new_does_not_validate_existing_vendors(
    load: Callable[..., str], make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", url="https://acme.test/", api_key_env="ACME_API_KEY")
    text = ACME + 'api_key_env = "ACME_API_KEY"\n' + ACME.replace("acme", "other")
    printed = load(text, "--only-new")
    assert counts(printed) == "1 created, 0 changed, 1 unchanged"
    assert "acme: api_key_env: ACME_API_KEY is not read" in printed
    assert "ACME_API_KEY is not read" in error_of(load, text)[0]


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
