"""Every example in docs/vendors.md can be loaded."""

import re
from pathlib import Path

import pytest

from vendors.loading.load import load
from vendors.loading.toml import parse

PAGE = Path(__file__).parents[2] / "docs/vendors.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
HEADER = """
[credentials.acme]
bearer_env = "VENDOR_ACME_KEY"

[vendors.acme]
adapter = "http"
url = "POST https://api.acme.example/v1/tasks"
"""


@pytest.mark.sqlite
@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_loaded(example):
    # A few lines stand for the rest of the vendor's table, and a credential for its vendor.
    text = example if "[vendors." in example else HEADER.split("[vendors.")[0] + example
    if "[" not in example.lstrip()[:1]:
        text = HEADER + example
    elif "[vendors." not in example:
        text = example + HEADER.partition("\n\n")[2]
    elif "[credentials." not in example:
        text = HEADER.partition("\n\n")[0] + "\n" + example
    load(parse(text), dry_run=True)
