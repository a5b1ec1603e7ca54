"""The vendor and the adapter in the README work as printed."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from vendors.models import Vendor
from vendors.registry import make_adapter

TEXT = (Path(__file__).parents[3] / "README.md").read_text()


def block(language: str) -> str:
    return re.search(rf"```{language}\n(# v.*?)```", TEXT, re.DOTALL)[1]


@pytest.mark.django_db
def test_the_vendor_of_the_readme_loads(tmp_path: Path) -> None:
    (tmp_path / "vendors.toml").write_text(block("toml").replace("\n# ", "\n"))
    call_command("load_vendors", str(tmp_path / "vendors.toml"), stdout=StringIO())
    assert Vendor.objects.get().api_key_env == "VENDOR_ACME_API_KEY"


def test_the_adapter_of_the_readme_loads(tmp_path: Path, settings: object) -> None:
    settings.ADAPTERS_DIR = tmp_path
    code = block("python")
    assert code.startswith("# var/adapters/acme.py\n")
    (tmp_path / "acme.py").write_text(code)
    name = re.search(r'`adapter = "(adapters\..*?)"`', TEXT)[1]
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
