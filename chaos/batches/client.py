"""API clients that post batches: they repeat each upload until it is accepted, wait until the batch
is finished, and read its results.
"""

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlencode

from django.db import connection

from chaos import waits
from chaos.api import Answer, Session, upload
from chaos.batches.drafts import Draft, draft_of, due_times
from chaos.batches.parcel import Parcel, Sent
from chaos.client import AGAIN_SECONDS, MAX_AGAIN_SECONDS
from chaos.keyring import Keyring
from chaos.waits import Wait
from harness.streaming import Cut

THREADS = 6
AT_ONCE = 2
PIECE_SECONDS = 0.2  # between two pieces of an upload
WAITS = (1, 2, 4)  # seconds, of the first requests for a batch
CONCLUSION_SECONDS = 60.0

# Answers that decide about an upload. After any other one it is sent again.
DECIDED = ("202", "401", "403", "404", "409", "413", "415", "422")
UNDECIDED_CODE = "body_cut_short"  # with 400


class BatchClients:
    """Posts `rate` items a second, in batches numbered from 0."""

    def __init__(self, apis: Sequence[str], seed: int, rate: float, keyring: Keyring) -> None:
        self._apis = apis
        self._seed = seed
        self._keyring = keyring
        self._due_times = enumerate(due_times(seed, rate))
        self._lock = Lock()
        self._over = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        self._began = self._over_at = 0.0
        self.parcels: list[Parcel] = []
        self.waits: list[Wait] = []

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Post no further batch, and wait until those under way are sealed."""
        self._over_at = time.monotonic()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def retry(self) -> None:
        """Retry what has failed of some batches. All jobs must be final."""
        for parcel in self.parcels:
            if parcel.draft.manner == "retry" and parcel.batch_id:
                parcel.retried = self._do(Session(), parcel, "retry")

    def conclude(self) -> None:
        """Wait until each batch is finished, and read its results."""
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self._conclude, self.parcels))

    def _run(self) -> None:
        session = Session()
        while True:
            with self._lock:
                number, due = next(self._due_times)
            if self._over.wait(max(0.0, self._began + due - time.monotonic())):
                return
            parcel = Parcel(draft_of(self._seed, number, datetime.now(UTC)))
            self.parcels.append(parcel)
            self._submit(session, parcel)
            self._follow(session, parcel)
            connection.close()

    def _submit(self, session: Session, parcel: Parcel) -> None:
        """Upload a batch until it is sealed, each time to the next API host."""
        turn = parcel.draft.number
        if parcel.draft.manner == "at_once":
            with ThreadPoolExecutor(AT_ONCE) as threads:
                turns = range(turn, turn + AT_ONCE)
                list(threads.map(lambda turn: self._upload(session, parcel, turn), turns))
        while not parcel.is_sealed and not self._gives_up(parcel):
            if parcel.sent:
                time.sleep(AGAIN_SECONDS)
            turn += 1
            self._upload(session, parcel, turn)

    def _gives_up(self, parcel: Parcel) -> bool:
        is_late = self._over.is_set() and time.monotonic() > self._over_at + MAX_AGAIN_SECONDS
        last = parcel.sent[-1] if parcel.sent else None
        is_decided = last is not None and (
            last.answer in DECIDED or (last.answer == "400" and last.code != UNDECIDED_CODE)
        )
        return is_late or is_decided

    def _upload(self, session: Session, parcel: Parcel, turn: int) -> None:
        draft, api = parcel.draft, self._apis[turn % len(self._apis)]
        headers = self._keyring.headers(draft.client) | draft.headers
        pieces = self._pieces(session, parcel, is_first=not parcel.sent)
        at, since = time.time(), time.monotonic()
        try:
            answer = upload(f"{api}{draft.path}", headers, pieces, draft.length)
        except Cut:
            answer = Answer("Cut")
        parcel.sent.append(_sent(at, api, time.monotonic() - since, answer))

    def _pieces(self, session: Session, parcel: Parcel, *, is_first: bool) -> Iterator[bytes]:
        """Yield the pieces of an upload, in the middle of which something may happen."""
        draft = parcel.draft
        middle = len(draft.piece_ends) // 2
        for number, piece in enumerate(draft.pieces()):
            if number and not self._over.is_set():
                self._over.wait(PIECE_SECONDS)
            if number == middle > 0 and is_first:
                if draft.manner == "cut":
                    raise Cut
                if draft.manner == "cancel_upload":
                    self._cancel(session, parcel, self._find(session, draft))
            yield piece

    def _find(self, session: Session, draft: Draft) -> str:
        """Return the id of a batch by its reference, or ""."""
        query = urlencode({"reference": draft.reference})
        url = f"{self._apis[0]}/batches?{query}"
        items = session.get(url, self._keyring.headers(draft.client)).body.get("items", [])
        return str(items[0]["batch_id"]) if items else ""

    def _follow(self, session: Session, parcel: Parcel) -> None:
        """Do what the client does with a batch while it runs, and wait a while for its end."""
        if not parcel.batch_id:
            return
        if parcel.draft.manner == "cancel":
            self._cancel(session, parcel, parcel.batch_id)
        for seconds in WAITS:
            if self._over.is_set() or self._wait(session, parcel, seconds).word == "404":
                return
            if parcel.draft.manner == "retry":
                self._do(session, parcel, "retry")
            if lines := self._lines(session, parcel, partial="true"):
                parcel.partial_indexes.append([line["index"] for line in lines])

    def _cancel(self, session: Session, parcel: Parcel, batch_id: str) -> None:
        if batch_id:
            parcel.cancel_requested = True
            if self._do(session, parcel, "cancel", batch_id):
                parcel.cancelled_at = time.time()

    def _do(self, session: Session, parcel: Parcel, action: str, batch_id: str = "") -> bool:
        """Return whether the API confirmed it, or says that no job needs it."""
        batch = self._url(parcel, batch_id)
        answer = session.post(f"{batch}/{action}", self._keyring.headers(parcel.draft.client))
        code = answer.body.get("code", "")
        if answer.word == "200" or code == "nothing_to_retry":
            return True
        parcel.refusal = f"{action}: {answer.word} {code}"
        return False

    def _wait(self, session: Session, parcel: Parcel, seconds: int) -> Answer:
        headers = self._keyring.headers(parcel.draft.client)
        answer, wait = waits.get("batch", session, self._url(parcel), headers, seconds)
        self.waits.append(wait)
        return answer

    def _conclude(self, parcel: Parcel) -> None:
        if not parcel.batch_id:
            return
        session, headers = Session(), self._keyring.headers(parcel.draft.client)
        give_up_at = time.monotonic() + CONCLUSION_SECONDS
        while parcel.shown.get("state") != "finished" and time.monotonic() < give_up_at:
            parcel.shown = self._wait(session, parcel, WAITS[-1]).body
            if parcel.shown.get("state") != "finished":
                time.sleep(AGAIN_SECONDS)
        parcel.lines = self._lines(session, parcel)
        csv_file = session.read(f"{self._url(parcel)}/results?format=csv", headers)
        if csv_file.word == "200":
            parcel.cells = list(csv.DictReader(io.StringIO(csv_file.text, newline="")))
        query = urlencode({"reference": parcel.draft.reference})
        page = session.get(f"{self._apis[0]}/batches?{query}", headers).body
        parcel.listed = [item["batch_id"] for item in page.get("items", [])]

    def _lines(self, session: Session, parcel: Parcel, **query: str) -> list[dict[str, Any]] | None:
        """Return the lines of the results file, or None if there is none."""
        url = f"{self._url(parcel)}/results?{urlencode(query)}"
        file = session.read(url, self._keyring.headers(parcel.draft.client))
        if file.word != "200":
            return None
        return [json.loads(line) for line in file.text.split("\n") if line]

    def _url(self, parcel: Parcel, batch_id: str = "") -> str:
        api = self._apis[parcel.draft.number % len(self._apis)]
        return f"{api}/batches/{batch_id or parcel.batch_id}"


def _sent(at: float, api: str, took_seconds: float, answer: Answer) -> Sent:
    body = answer.body
    code, batch_id = str(body.get("code", "")), str(body.get("batch_id", ""))
    received, accepted, refused = (
        int(body.get(name, 0)) for name in ("received", "accepted", "refused")
    )
    counts = (received, accepted, refused)
    return Sent(at, api, took_seconds, answer.word, code, batch_id, answer.is_replay, counts)
