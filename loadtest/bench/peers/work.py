"""The work of one task, the same for every peer."""

import os
import threading
from typing import Any

import django
import requests
from django.utils import timezone

django.setup()
from loadtest.bench.peers.models import Job  # noqa: E402 - no model before that

TIMEOUT_SECONDS = 30


class _Thread(threading.local):
    def __init__(self) -> None:
        self.session = requests.Session()


_thread = _Thread()


def enrich(job_id: str, payload: dict[str, Any]) -> None:
    """Call the vendor for one job and store the response."""
    jobs = Job.objects.filter(pk=job_id)
    jobs.update(status="processing")
    response = _thread.session.post(os.environ["VENDOR_URL"], json=payload, timeout=TIMEOUT_SECONDS)
    response.raise_for_status()
    jobs.update(status="complete", result=response.json(), finished_at=timezone.now())
