"""API clients: they post at a steady rate, repeat each request until it is accepted, and cancel
some of their jobs. Each client has an API key of its own, and rotates it.

With several API hosts, they post to each in turn, read each job through another host, and switch to
that host if one fails.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle, islice
from threading import Event, Thread
from typing import Any

from chaos import waits
from chaos.api import TIMEOUT_SECONDS, Session, is_certain
from chaos.journal import Journal
from chaos.keyring import Keyring
from chaos.plans import plan_of
from chaos.probes import Access, Probed, probe
from chaos.submissions import CLIENTS, Submission, manner_of, probe_of, submission_of, wait_of
from chaos.waits import Wait
from jobs.storage.store import STORE_ERRORS

THREADS = 16
CANCEL_AFTER_SECONDS = 0.3
AGAIN_SECONDS = 0.5  # from a failed request to its repetition, once all API hosts have been tried
MAX_AGAIN_SECONDS = 30.0  # how long they go on after the end, when nothing is broken any more
ROTATION_SECONDS = 10.0
IMPATIENT_SECONDS = 0.002
AT_ONCE = 4


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
    client: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    is_replay: bool = False  # the API said so
    may_be_cancelled: bool = False  # with all of its batch


class Clients:
    """Posts `rate` jobs a second, with serial numbers from 1."""

    def __init__(
        self, apis: Sequence[str], seed: int, rate: float, keyring: Keyring, journal: Journal
    ) -> None:
        self._apis = apis
        self._seed = seed
        self._rate = rate
        self._keyring = keyring
        self._journal = journal
        self._over = Event()
        self._threads = [
            Thread(target=self._run, args=(number,), daemon=True) for number in range(THREADS)
        ]
        self._threads.append(Thread(target=self._rotate_keys, daemon=True))
        self._began = self._over_at = 0.0
        self.posted: list[Posted] = []
        self.probed: list[Probed] = []
        self.waits: list[Wait] = []

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop posting and wait for the last responses."""
        self._over_at = time.monotonic()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def retry(self, failed: Collection[str]) -> None:
        """Retry those failed jobs whose plan says so."""
        session = Session()
        for posted in {each.job_id: each for each in self.posted}.values():
            if posted.job_id in failed and self._plans(posted, "retry"):
                posted.retried = self._do(session, posted, "retry")

    def _run(self, number: int) -> None:
        session, serial = Session(), number + 1
        while not self._over.wait(max(0.0, self._began + serial / self._rate - time.monotonic())):
            self._submit(session, serial)
            serial += THREADS

    def _submit(self, session: Session, serial: int) -> None:
        """Post a job to the API host whose turn it is and, until one answers, to the next."""
        submission = submission_of(self._seed, serial, datetime.now(UTC))
        manner = manner_of(self._seed, serial)
        if manner == "at_once":
            self._post_at_once(submission)
        for number in count():
            api, other = (self._apis[(serial + number + n) % len(self._apis)] for n in (0, 1))
            timeout_seconds = TIMEOUT_SECONDS
            if manner == "impatient" and number == 0:
                timeout_seconds = IMPATIENT_SECONDS
            posted = self._post(session, submission, api, timeout_seconds)
            if posted.job_id:
                self._follow(session, posted, submission, other)
            if posted.job_id or self._is_final(posted):
                return
            if number + 1 >= len(self._apis) and timeout_seconds == TIMEOUT_SECONDS:
                time.sleep(AGAIN_SECONDS)

    def _is_final(self, posted: Posted) -> bool:
        """Whether a request that was not accepted is not to be repeated."""
        is_late = self._over.is_set() and time.monotonic() > self._over_at + MAX_AGAIN_SECONDS
        return is_late or is_certain(posted.answer)

    def _post_at_once(self, submission: Submission) -> None:
        """Send the same request over several connections, to all API hosts."""
        apis = islice(cycle(self._apis), AT_ONCE)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda api: self._post(Session(), submission, api), apis))

    def _post(
        self,
        session: Session,
        submission: Submission,
        api: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Posted:
        posted = Posted(submission.serial, submission.vendor, time.time(), api)
        posted.client, posted.options = submission.client, submission.options
        self.posted.append(posted)
        since = time.monotonic()
        headers = self._keyring.headers(submission.client) | submission.header
        url, body = f"{api}/jobs", submission.body
        if manner_of(self._seed, submission.serial) == "waiting":
            seconds = wait_of(self._seed, submission.serial)
            answer, wait = waits.post(session, url, headers, body, seconds)
            self.waits.append(wait)
        else:
            answer = session.post(url, headers, body, timeout_seconds=timeout_seconds)
        posted.took_seconds = time.monotonic() - since
        posted.answer, posted.is_replay = answer.word, answer.is_replay
        posted.job_id = answer.body.get("request_id", "")
        return posted

    def _follow(self, session: Session, posted: Posted, submission: Submission, other: str) -> None:
        """Do what the client does with an accepted job. `other` is another API host, if any."""
        if other != posted.api:
            headers = self._keyring.headers(posted.client)
            posted.seen = session.get(f"{other}/jobs/{posted.job_id}", headers).word
        kind = probe_of(self._seed, posted.serial)
        if kind == "wait":
            url, headers = f"{other}/jobs/{posted.job_id}", self._keyring.headers(posted.client)
            wait = waits.get("job", session, url, headers, wait_of(self._seed, posted.serial))[1]
            self.waits.append(wait)
        elif kind:
            found = probe(kind, Access(session, other, self._keyring), submission, posted.job_id)
            self.probed.extend(found)
        if self._plans(posted, "cancel"):
            self._over.wait(CANCEL_AFTER_SECONDS)
            posted.cancelled = self._do(session, posted, "cancel")

    def _plans(self, posted: Posted, action: str) -> bool:
        return plan_of(self._seed, posted.serial, posted.vendor).client == action

    def _do(self, session: Session, posted: Posted, action: str) -> bool:
        """Return whether the API confirmed it."""
        url = f"{posted.api}/jobs/{posted.job_id}/{action}"
        return session.post(url, self._keyring.headers(posted.client)).word == "200"

    def _rotate_keys(self) -> None:
        """Rotate the key of one client after the other."""
        for client in cycle(CLIENTS):
            if self._over.wait(ROTATION_SECONDS):
                return
            try:
                self._keyring.rotate(client)
            except STORE_ERRORS as error:
                self._journal.failures.append(f"rotation of a key of {client}: {error!r}")
