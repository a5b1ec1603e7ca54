"""While the store is away, a key can't be looked up: nobody is let in, and nobody is refused."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from clients.keys import new_key
from harness.clients import make_key
from harness.proxy import Proxy
from harness.waiting import wait_for
from tests.conftest import store_url

IN_TIME_SECONDS = 4  # 2 s, and a margin for a busy machine
KNOWN_SECONDS = 1.0  # how long a process may go by what it read


@pytest.fixture
def store() -> Iterator["SQLite | MongoDB"]:
    with closing(SQLite() if connection.vendor == "sqlite" else MongoDB()) as store:
        yield store


class SQLite:
    def __init__(self) -> None:
        self.url = store_url()
        self._file = Path(connection.settings_dict["NAME"])

    @contextmanager
    def away(self) -> Iterator[None]:
        elsewhere = self._file.with_suffix(".away")
        self._file.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self._file)

    def close(self) -> None:
        """The file stays."""


class MongoDB:
    def __init__(self) -> None:
        parts = urlsplit(store_url())
        self._proxy = Proxy((parts.hostname or "", parts.port or 27017))
        login = parts.netloc.rpartition("@")[0]
        place = f"{login}@" if login else ""
        self.url = urlunsplit(parts._replace(netloc=f"{place}127.0.0.1:{self._proxy.port}"))

    @contextmanager
    def away(self) -> Iterator[None]:
        self._proxy.stall(60)
        try:
            yield
        finally:
            self._proxy.heal()

    def close(self) -> None:
        self._proxy.close()


def test_a_store_that_is_away_answers_503_in_time(store, serve_api, open_connection):
    [port] = serve_api(DATABASE_URL=store.url)
    keys = {"used": make_key(), "not yet used": make_key(), "unknown": new_key(), "none": ""}
    assert open_connection(port, keys["used"]).send("GET", "/jobs/x").status == 404
    with store.away():
        since = time.monotonic()
        wait_for(lambda: time.monotonic() - since > KNOWN_SECONDS, "what was read to be old")
        for name, key in keys.items():
            started = time.monotonic()
            answer = open_connection(port, key).send("GET", "/jobs/x")
            if not key:  # there is nothing to look up
                assert answer.status == 401
                continue
            assert (name, answer.status, answer.code) == (name, 503, "store_unavailable")
            assert time.monotonic() - started < IN_TIME_SECONDS
    wait_for(lambda: open_connection(port, keys["used"]).send("GET", "/jobs/x").status == 404, "it")
    assert open_connection(port, keys["unknown"]).send().status == 401
