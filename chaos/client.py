"""API clients: they post at a steady rate, record the responses, and cancel some of their jobs.

With several API hosts, they post to each in turn, read each job through another host, and switch to
that host if one fails.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

import requests

from chaos.plans import plan_of
from chaos.vendors import vendor_of

THREADS = 16
TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0
CANCEL_AFTER_SECONDS = 0.3


@dataclass
class Posted:
    """One request to POST /jobs, and its response."""

    serial: int
    vendor: str
    at: float  # Unix seconds
    api: str = ""  # URL of the API host
    took_seconds: float = 0.0
    answer: str = ""  # status, or the name of an exception
    job_id: str = ""  # of an accepted job
    cancelled: bool = False  # the API confirmed it
    retried: bool = False  # the API confirmed it
    seen: str = ""  # the response of another API host to a GET


class Clients:
    """Posts `rate` jobs a second, with serial numbers from 1."""

    def __init__(self, apis: Sequence[str], seed: int, rate: float) -> None:
        self._apis = apis
        self._seed = seed
        self._rate = rate
        self._over = Event()
        self._threads = [
            Thread(target=self._run, args=(number,), daemon=True) for number in range(THREADS)
        ]
        self._began = 0.0
        self.posted: list[Posted] = []

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop posting and wait for the last responses."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def retry(self, failed: Collection[str]) -> None:
        """Retry those failed jobs whose plan says so."""
        with requests.Session() as session:
            for posted in self.posted:
                if (
                    posted.job_id in failed
                    and plan_of(self._seed, posted.serial, posted.vendor).client == "retry"
                ):
                    posted.retried = (
                        _request(session, f"{self._apis[0]}/jobs/{posted.job_id}/retry")[0] == "200"
                    )

    def _run(self, number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            serial = number + 1
            while not self._over.wait(
                max(0.0, self._began + serial / self._rate - time.monotonic())
            ):
                self._post(session, serial)
                serial += THREADS

    def _post(self, session: requests.Session, serial: int) -> None:
        """Post a job to the API host whose turn it is, and to the next if that fails."""
        for number in range(len(self._apis)):
            api, other = (
                self._apis[(serial + number + after) % len(self._apis)] for after in (0, 1)
            )
            posted = self._post_to(session, serial, api)
            if posted.job_id and other != api:
                posted.seen = _request(session, f"{other}/jobs/{posted.job_id}", method="GET")[0]
            if posted.job_id:
                return

    def _post_to(self, session: requests.Session, serial: int, api: str) -> Posted:
        vendor = vendor_of(self._seed, serial)
        posted = Posted(serial, vendor, time.time(), api)
        self.posted.append(posted)
        since = time.monotonic()
        body = {"vendor": vendor, "name": f"Job {serial}", "serial": serial}
        posted.answer, answer = _request(session, f"{api}/jobs", body)
        posted.took_seconds = time.monotonic() - since
        posted.job_id = answer.get("request_id", "")
        if posted.job_id and plan_of(self._seed, serial, vendor).client == "cancel":
            self._over.wait(CANCEL_AFTER_SECONDS)
            posted.cancelled = _request(session, f"{api}/jobs/{posted.job_id}/cancel")[0] == "200"
        return posted


def _request(
    session: requests.Session, url: str, body: dict[str, Any] | None = None, method: str = "POST"
) -> tuple[str, dict[str, Any]]:
    try:
        answer = session.request(
            method, url, json=body, timeout=(CONNECT_TIMEOUT_SECONDS, TIMEOUT_SECONDS)
        )
        return str(answer.status_code), answer.json()
    except (requests.RequestException, ValueError) as error:
        return type(error).__name__, {}
