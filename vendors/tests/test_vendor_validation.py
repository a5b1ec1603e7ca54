from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from vendors.base import Adapter
from vendors.models import Vendor

pytestmark = pytest.mark.django_db


class OwnAdapter(Adapter):
    pass


def make(**fields: object) -> Vendor:
    return Vendor(**{"slug": "acme", "adapter": "sync", "url": "https://acme.test/", **fields})


def faults_of(vendor: Vendor) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        vendor.full_clean()
    return caught.value.message_dict


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"adapter": "async"},
        {"adapter": "vendors.tests.test_vendor_validation.OwnAdapter"},
        {"url": "http://vendor_mocks:8000/mock-vendors/sync?rate=20"},
        {"url": "http://[::1]:8000/"},
        {"url": "https://bücher.example/"},
        {"rate_limits": "10/s, 500/min", "max_in_flight": 1, "redact": ""},
        {"timeout_seconds": 0.1, "max_attempts": 1, "callback_timeout_seconds": 30 * 86400},
        {"api_key_env": "ACME_KEY", "webhook_secret_env": "_x1"},
        {"slug": "0-a_b"},
    ],
)
def test_sound_settings_are_accepted(fields: dict[str, object]) -> None:
    make(**fields).full_clean()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        *[("slug", slug, "lower-case letters") for slug in ("Acme", "a b", "-a", "a/b", "a\n", "é")],
        ("slug", "", "blank"),
        ("slug", "a" * 51, "at most 50 characters"),
        ("adapter", "nope", "use sync, async or the dotted path of a class"),
        ("adapter", "nope.Adapter", "can't be imported"),
        ("adapter", "vendors.base.Nope", "can't be imported"),
        ("adapter", "..base.Adapter", "can't be imported"),
        ("adapter", ".Adapter", "can't be imported"),
        ("adapter", "vendors.base.Call", "not a subclass of vendors.base.Adapter"),
        ("adapter", "vendors.limits.parse", "not a subclass of vendors.base.Adapter"),
        *[("url", url, "whole address") for url in ("acme.test", "ftp://a/", "https://", "http:///x", "//a/", "javascript:1")],
        *[("url", url, "whole address") for url in ("http://[::1/", "http://a:99999/", "http://a:b/", "http://a..b/")],
        *[("url", url, "whole address") for url in ("http://a b/", "http://a/\nb", "http://a/b c", f"http://{'a' * 64}/")],
        *[("url", url, "no user name or password") for url in ("http://me:pw@a/", "http://me@a/", "http://@a/")],
        ("rate_limits", "10/x", "is no rate limit"),
        ("rate_limits", "9" * 5000 + "/s", "at most 200 characters"),
        ("max_in_flight", 0, "greater than or equal to 1"),
        ("timeout_seconds", 0, "greater than or equal to 0.1"),
        ("timeout_seconds", 3601, "less than or equal to 3600"),
        ("timeout_seconds", float("inf"), "less than or equal to 3600"),
        ("max_attempts", 0, "greater than or equal to 1"),
        ("max_attempts", 101, "less than or equal to 100"),
        ("callback_timeout_seconds", 0.5, "greater than or equal to 1"),
        ("api_key_env", "sk-123", "name of an environment variable"),
        ("webhook_secret_env", "1A", "name of an environment variable"),
    ],
)
def test_nonsense_is_told_at_its_field(field: str, value: object, sentence: str) -> None:
    faults = faults_of(make(**{field: value}))
    assert list(faults) == [field]
    assert any(sentence in fault for fault in faults[field])


def test_a_module_that_fails_when_imported_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    (tmp_path / "broken_vendor.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    faults = faults_of(make(adapter="broken_vendor.Adapter"))
    assert faults == {
        "adapter": ["The adapter 'broken_vendor.Adapter' can't be imported: ZeroDivisionError: division by zero."]
    }


def test_a_slug_is_taken_once(make_vendor: Callable[..., Vendor]) -> None:
    make_vendor("acme")
    assert faults_of(make()) == {"slug": ["Vendor with this Slug already exists."]}


def test_a_slug_never_changes(make_vendor: Callable[..., Vendor]) -> None:
    vendor = make_vendor("acme")
    vendor.slug = "other"
    assert faults_of(vendor) == {"slug": ["The slug of a vendor never changes; this one is 'acme'."]}


def test_secrets_are_read_from_the_environment_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = make(api_key_env="ACME_KEY", webhook_secret_env="ACME_SECRETS")
    assert (vendor.api_key, vendor.webhook_secrets) == ("", [])
    monkeypatch.setenv("ACME_KEY", "k3y\n")
    monkeypatch.setenv("ACME_SECRETS", "whsec_a, whsec_b\n")
    assert (vendor.api_key, vendor.webhook_secrets) == ("k3y", ["whsec_a", "whsec_b"])
    assert (make().api_key, make().webhook_secrets) == ("", [])
