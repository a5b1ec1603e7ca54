from collections.abc import Callable
from pathlib import Path

import pytest

from vendors.tests.loading.command import run


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that writes a file, loads it and returns the output."""
    monkeypatch.chdir(tmp_path)

    def load(text: str, *options: str) -> str:
        Path("vendors.toml").write_text(text)
        return run("vendors.toml", *options)

    return load
