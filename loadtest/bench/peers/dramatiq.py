"""Dramatiq."""

import os
from collections.abc import Iterable
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from loadtest.bench.peers import work

dramatiq.set_broker(RedisBroker(url=f"unix://{os.environ['VALKEY_SOCKET']}"))


@dramatiq.actor
def enrich(job_id: str, payload: dict[str, Any]) -> None:
    work.enrich(job_id, payload)


def queue(jobs: Iterable[tuple[str, dict[str, Any]]]) -> None:
    for job_id, payload in jobs:
        enrich.send(job_id, payload)
