"""Fixtures of the client's tests."""

from collections.abc import Iterator

import pytest
from enrichlabs_client import Client
from enrichlabs_client.http import retries
from scripted_peer import Peer

KEY = "elk_TESTKEYx" + "0" * 38


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Keep the settings of whoever runs the tests out."""
    for name in ("ENRICHLABS_URL", "ENRICHLABS_API_KEY", "ENRICHLABS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


@pytest.fixture
def client(peer: Peer) -> Iterator[Client]:
    with Client(peer.url, KEY, timeout=5) as client:
        yield client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which the test does not have to sit through."""
    found: list[float] = []
    monkeypatch.setattr(retries, "sleep", found.append)
    return found
