"""Every example of a definition in docs/vendors.md can be loaded."""

import re
from pathlib import Path

import pytest

from vendors.loading.load import load
from vendors.loading.toml import parse

PAGE = Path(__file__).parents[3] / "docs/vendors.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
CREDENTIAL = """
[credentials.acme]
bearer_env = "VENDOR_ACME_KEY"
"""
VENDOR = """
[vendors.acme]
adapter = "http"
url = "POST https://api.acme.example/v1/people"
"""


def completed(example: str) -> str:
    """Return the example with what it leaves out: the vendor of its keys, or its credential."""
    has_vendor, has_credential = "[vendors." in example, "[credentials." in example
    if has_credential and not has_vendor:
        return example + VENDOR
    vendor = example if has_vendor else VENDOR + example
    return vendor if has_credential else CREDENTIAL + vendor


@pytest.mark.sqlite
@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_can_be_loaded(example):
    load(parse(completed(example)), dry_run=True)
