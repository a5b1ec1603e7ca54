"""Huey."""

import os
from collections.abc import Iterable
from typing import Any

from huey import RedisHuey

from loadtest.bench.peers import work

huey = RedisHuey("peers", url=f"unix://{os.environ['VALKEY_SOCKET']}", results=False)


@huey.task()
def enrich(job_id: str, payload: dict[str, Any]) -> None:
    work.enrich(job_id, payload)


def queue(jobs: Iterable[tuple[str, dict[str, Any]]]) -> None:
    for job_id, payload in jobs:
        enrich(job_id, payload)
