"""The package can be installed, without Django."""

import shutil
import subprocess
import sys

import pytest

from harness.running import ROOT

pytestmark = pytest.mark.processes


def test_pip_installs_the_package_and_its_command(tmp_path):
    source = tmp_path / "source"  # the build leaves files where it runs
    shutil.copytree(ROOT / "sdk/python", source, ignore=shutil.ignore_patterns("tests"))
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    target = tmp_path / "target"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *options, "--target", target, source],
        check=True,
        capture_output=True,
    )
    assert (target / "enrichlabs_client/py.typed").exists()
    script = (
        "import sys, enrichlabs_client.command.main as main;"
        "assert 'django' not in sys.modules; main.main(['--version'])"
    )
    environment = {"PYTHONPATH": str(target), "HOME": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "enrichlabs 0.2.0\n"
    assert (target / "bin/enrichlabs").exists()
