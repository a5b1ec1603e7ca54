"""script/setup creates .venv once and completely, whatever runs at the same time and however pip is
configured.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from harness.running import ROOT


def make_wheel(folder: Path, version: str) -> None:
    """Write a package `tiny` that pip can install without an index."""
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    records = []
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
            records.append(f"{name},sha256={digest.decode().rstrip('=')},{len(content)}")
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/RECORD", "\n".join([*records, f"{info}/RECORD,,"]) + "\n")


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "script").mkdir(parents=True)
        (folder / "home").mkdir()
        shutil.copy(ROOT / "script" / "setup", folder / "script")
        for version in ("1.0", "2.0"):
            make_wheel(folder, version)
        self.require("1.0")

    def require(self, version: str) -> None:
        (self.folder / "requirements.txt").write_text(f"tiny=={version}  # the only one\n")

    def setup(self, **variables: object) -> "subprocess.Popen[str]":
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder),
            **{name: str(value) for name, value in variables.items()},
        }
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(["script/setup"], cwd=self.folder, env=given, **output)

    def installed(self) -> str:
        command = [".venv/bin/python", "-I", "-c", "import tiny; print(tiny.VERSION)"]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=True
        ).stdout.strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A fresh clone on which setup has run twice at once. Both succeed, and one does the work."""
    checkout = Checkout(tmp_path_factory.mktemp("setup") / "checkout")
    both = [checkout.setup(), checkout.setup()]
    outputs = sorted((process.communicate(timeout=100)[0] for process in both), key=len)
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0] in ("", "Another script is setting up .venv; waiting for it ...\n")
    assert (
        outputs[1].count("Creating .venv") == outputs[1].count("Installing requirements.txt") == 1
    )
    assert checkout.installed() == "1.0"
    return checkout


@pytest.mark.parametrize(
    "variables",
    [
        {"PIP_USER": "1"},
        {"PIP_TARGET": "elsewhere"},
        {"PIP_PREFIX": "elsewhere"},
        {"PIP_ROOT": "elsewhere"},
        {"PIP_DRY_RUN": "1"},
        {"PIP_CONFIG_FILE": "pip.conf"},
        {"PYTHONHOME": "/nowhere"},
        {"PYTHONPATH": "other"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_packages_go_into_the_venv_however_pip_is_configured(
    checkout: Checkout, variables: dict[str, str]
) -> None:
    (checkout.folder / "pip.conf").write_text("[install]\nuser = true\n")
    other = checkout.folder / "other"
    other.mkdir(exist_ok=True)
    with zipfile.ZipFile(checkout.folder / "tiny-2.0-py3-none-any.whl") as wheel:
        wheel.extractall(other)
    version = "2.0" if checkout.installed() == "1.0" else "1.0"
    checkout.require(version)
    setup = checkout.setup(**variables)
    output = setup.communicate(timeout=100)[0]
    assert setup.returncode == 0, output
    assert checkout.installed() == version
    assert not (checkout.folder / "elsewhere").exists()


def test_an_installation_outside_the_venv_is_an_error_and_is_redone(checkout: Checkout) -> None:
    checkout.require("2.0" if checkout.installed() == "1.0" else "1.0")
    (checkout.folder / "pip.conf").write_text("[install]\ntarget = elsewhere\n")
    setup = checkout.setup(PIP_CONFIG_FILE="pip.conf")
    output = setup.communicate(timeout=100)[0]
    assert setup.returncode == 1
    assert "script/setup: tiny is not in .venv as version" in output
    setup = checkout.setup()  # starts from nothing, as after an interrupted installation
    output = setup.communicate(timeout=100)[0]
    assert setup.returncode == 0, output
    checkout.installed()


def test_a_second_setup_waits_and_prints_so(checkout: Checkout) -> None:
    take_lock = "import fcntl; fcntl.flock(9, fcntl.LOCK_EX)"
    lock = subprocess.Popen(
        ["bash", "-c", f"exec 9>>.venv.lock; python3 -c '{take_lock}'; echo; exec cat"],
        cwd=checkout.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    lock.stdout.readline()
    checkout.require("2.0" if checkout.installed() == "1.0" else "1.0")
    setup = checkout.setup()
    assert setup.stdout.readline() == "Another script is setting up .venv; waiting for it ...\n"
    assert setup.poll() is None
    lock.communicate()
    assert setup.communicate(timeout=100)[0] == "Installing requirements.txt ...\n"
    assert setup.returncode == 0
