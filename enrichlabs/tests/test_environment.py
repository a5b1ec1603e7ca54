"""How variables are read for settings."""

import re

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from enrichlabs import environment as env
from enrichlabs.tests.running import ROOT


def test_every_variable_of_the_example_is_registered_and_no_other() -> None:
    listed = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert listed == env.SETTINGS_VARIABLES == settings.SETTINGS_VARIABLES


def test_a_variable_that_is_not_registered_cannot_be_read() -> None:
    with pytest.raises(LookupError, match="Add ACME_KEY to SETTINGS_VARIABLES"):
        env.text("ACME_KEY")


def test_the_prefixes_of_vendors_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.VENDOR_VARIABLE_PREFIXES == ("VENDOR_",)
    monkeypatch.setenv("VENDOR_VARIABLE_PREFIXES", "VENDOR_, ACME_CORP_")
    assert env.prefixes("VENDOR_VARIABLE_PREFIXES", "VENDOR_") == ("VENDOR_", "ACME_CORP_")


@pytest.mark.parametrize("prefix", ["acme_", "ACME", "_", "ACME__", "A*_", "Ä_", "ACME_ BETA_"])
def test_what_is_no_prefix(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_VARIABLE_PREFIXES", prefix)
    with pytest.raises(ImproperlyConfigured, match="Write prefixes in capitals, with _ at their end: VENDOR_,ACME_"):
        env.prefixes("VENDOR_VARIABLE_PREFIXES", "VENDOR_")
