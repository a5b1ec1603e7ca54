"""script/test, script/format and the pre-commit hooks run the same ruff."""

import re

import pytest
import yaml

from harness.running import ROOT

HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def test_pre_commit_downloads_no_ruff_of_its_own():
    assert [repository["repo"] for repository in HOOKS] == ["local"]


@pytest.mark.parametrize("script", ["test", "format"])
def test_a_script_runs_the_ruff_of_the_hooks(script):
    text = (ROOT / "script" / script).read_text().replace('"$bin/ruff"', ".venv/bin/ruff")
    commands = set(re.findall(r"(\S+/ruff \w+)", text))
    entries = {" ".join(hook["entry"].split()[:2]) for hook in HOOKS[0]["hooks"]}
    assert commands == entries == {".venv/bin/ruff check", ".venv/bin/ruff format"}


def test_the_scripts_set_bin_to_the_virtual_environment():
    assert "\nbin=.venv/bin\n" in (ROOT / "script" / "test").read_text()


def test_ruff_is_pinned():
    requirements = (ROOT / "requirements-dev.txt").read_text()
    assert re.search(r"^ruff==\d+\.\d+\.\d+\b", requirements, re.MULTILINE)
