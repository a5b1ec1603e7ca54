"""Settings that limit what vendors may use."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config import environment as env
from harness.running import ROOT


def test_allowed_addresses_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.VENDOR_ALLOWED_ADDRESSES == []
    monkeypatch.setenv("VENDOR_ALLOWED_ADDRESSES", "127.0.0.1, fe80::/64")
    expected = [ip_network("127.0.0.1/32"), ip_network("fe80::/64")]
    assert env.networks("VENDOR_ALLOWED_ADDRESSES") == expected


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.256"])
def test_an_invalid_network_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_ALLOWED_ADDRESSES", text)
    assert env.networks("VENDOR_ALLOWED_ADDRESSES") == []
    message = "VENDOR_ALLOWED_ADDRESSES can't be read: .* Write addresses or networks"
    with pytest.raises(ImproperlyConfigured, match=message):
        env.check()


def test_the_tests_have_their_own_adapters_folder() -> None:
    assert Path(ROOT) / "tests/adapters" == settings.ADAPTERS_DIR
