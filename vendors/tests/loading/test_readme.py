"""The vendor in the README and the adapter in docs/adapters.md work as printed."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from vendors.models import Vendor
from vendors.registry import make_adapter

ROOT = Path(__file__).parents[3]


def block(page: str, language: str) -> str:
    return re.search(rf"```{language}\n(# v.*?)```", (ROOT / page).read_text(), re.DOTALL)[1]


@pytest.mark.django_db
def test_the_vendor_of_the_readme_loads(tmp_path: Path) -> None:
    (tmp_path / "vendors.toml").write_text(block("README.md", "toml"))
    call_command("load_vendors", str(tmp_path / "vendors.toml"), stdout=StringIO())
    vendor = Vendor.objects.get()
    assert vendor.credential.definition["keys_env"] == ["VENDOR_ACME_KEY"]


def test_the_adapter_of_the_manual_loads(tmp_path: Path, settings: object) -> None:
    settings.ADAPTERS_DIR = tmp_path
    code = block("docs/adapters.md", "python")
    assert code.startswith("# var/adapters/acme.py\n")
    (tmp_path / "acme.py").write_text(code)
    name = re.search(r'`adapter = "(adapters\..*?)"`', (ROOT / "docs/adapters.md").read_text())[1]
    assert type(make_adapter(Vendor(adapter=name))).__name__ == "AcmeAdapter"


def test_adapter_files_can_import_each_other(tmp_path: Path, settings: object) -> None:
    settings.ADAPTERS_DIR = tmp_path
    (tmp_path / "common.py").write_text(
        "from vendors.base import Adapter\n\nclass Common(Adapter):\n    pass\n"
    )
    (tmp_path / "one.py").write_text(
        "from . import common\n\nclass One(common.Common):\n    pass\n"
    )
    (tmp_path / "two.py").write_text(
        "from adapters.common import Common\nfrom adapters import one\n\nTwo = one.One\n"
    )
    assert type(make_adapter(Vendor(adapter="adapters.two.Two"))).__name__ == "One"
