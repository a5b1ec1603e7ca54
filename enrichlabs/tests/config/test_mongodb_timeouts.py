"""A silent network, as when a cable is pulled, is detected within seconds."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from enrichlabs.config.stores import database
from harness.mongodb import mongodb
from harness.proxy import Proxy

CONNECT_TIMEOUT_SECONDS = 0.5
# 2.5 s with our settings and this timeout; 10.5 s with the driver's defaults.
MAX_SECONDS = 7.0


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with mongodb() as (url, _):
        proxy = Proxy(("127.0.0.1", urlsplit(url).port or 0))
        yield proxy
        proxy.close()


def test_a_write_fails_soon_when_the_network_falls_silent(proxy: Proxy) -> None:
    options = f"connectTimeoutMS={CONNECT_TIMEOUT_SECONDS * 1000:.0f}"
    settings = database(f"mongodb://127.0.0.1:{proxy.port}/?{options}", Path())
    client: MongoClient[dict[str, Any]]
    with MongoClient(settings["HOST"], **settings["OPTIONS"]) as client:
        jobs = client["enrichlabs"]["jobs"]
        jobs.insert_one({})
        proxy.stall(60)
        began = time.monotonic()
        with pytest.raises(PyMongoError):
            jobs.update_many({}, {"$set": {"status": "processing"}})
        assert time.monotonic() - began < MAX_SECONDS
        proxy.heal()
