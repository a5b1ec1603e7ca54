"""Celery."""

import os
from collections.abc import Iterable
from typing import Any

from celery import Celery

from loadtest.bench.peers import work

app = Celery("peers", broker=f"redis+socket://{os.environ['VALKEY_SOCKET']}")
app.conf.update(task_ignore_result=True, CELERY_DB_REUSE_MAX=1_000_000)


@app.task
def enrich(job_id: str, payload: dict[str, Any]) -> None:
    work.enrich(job_id, payload)


def queue(jobs: Iterable[tuple[str, dict[str, Any]]]) -> None:
    for job_id, payload in jobs:
        enrich.delay(job_id, payload)
