"""A connection to MongoDB that breaks without a word, as when a cable is pulled, is noticed within
seconds.
"""

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

CONNECT_SECONDS = 0.5
# after 2.5 s here; without a setting of ours after 10.5 s, and by the socket's own time-out after
# 30 s
NOTICED_SECONDS = 7.0


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with mongodb() as (url, _):
        proxy = Proxy(("127.0.0.1", urlsplit(url).port or 0))
        yield proxy
        proxy.close()


def test_a_write_that_is_under_way_when_the_network_falls_silent_ends_soon(proxy: Proxy) -> None:
    settings = database(
        f"mongodb://127.0.0.1:{proxy.port}/?connectTimeoutMS={CONNECT_SECONDS * 1000:.0f}", Path()
    )
    client: MongoClient[dict[str, Any]]
    with MongoClient(settings["HOST"], **settings["OPTIONS"]) as client:
        jobs = client["enrichlabs"]["jobs"]
        jobs.insert_one({})
        proxy.stall(60)
        began = time.monotonic()
        with pytest.raises(PyMongoError):
            jobs.update_many({}, {"$set": {"status": "processing"}})
        assert time.monotonic() - began < NOTICED_SECONDS
        proxy.heal()
