"""Idempotency-Key: a client that repeats a request gets the job of the first one again.

The job's row holds the key and a fingerprint of the body, so a key lives as long as its job: it
survives a restart, the loss of Redis, and a new API key. A unique index over client and key decides
between requests that arrive together (docs/decisions/0024-idempotency.md).
"""

import hashlib
import json
import re
import time
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest

from jobs.api.intake import accept
from jobs.api.problems import Problem
from jobs.models import Job
from jobs.storage import store
from jobs.storage.lookup import Lookup
from vendors.payloads import exact

MAX_LENGTH = 255
PAUSE_SECONDS = 0.02

# A string in quotes (RFC 9651, section 3.3.3), or the text alone.
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
# Without quotes no comma, with which a server joins two headers of the same name.
BARE = re.compile(r"[!#-+\--~][ -+\--~]*")
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))

COLUMNS = ("id", "status", "vendor", "fingerprint", "started_at", "queued_at", "not_before")
FIRST = Lookup(Job, *COLUMNS, "stream", owner="client", by="idempotency_key")


def key_of(request: HttpRequest) -> str | None:
    """Return the request's key, None if it has none. Raises Problem for a malformed one."""
    value = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if value is None:
        return None
    if quoted := QUOTED.fullmatch(value):
        key = re.sub(r'\\(["\\])', r"\1", quoted[1])
    else:
        key = value if BARE.fullmatch(value) else ""
    if not 1 <= len(key) <= MAX_LENGTH:
        detail = (
            f"Send one Idempotency-Key of 1 to {MAX_LENGTH} printable ASCII characters, in quotes "
            'if it has a comma: Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".'
        )
        raise Problem("bad_idempotency_key", 400, detail)
    return key


def fingerprint(body: dict[str, Any]) -> str:
    """Return what all spellings of the body share: order of members and white space do not count,
    but `1` and `1.0` are different numbers.
    """
    return hashlib.sha256(exact.write(body, CANONICAL).encode()).hexdigest()


def first_use(client: str, key: str, body_fingerprint: str) -> dict[str, Any] | None:
    """Return COLUMNS of the client's job with this key, None if there is none. Raises Problem if it
    was posted with another body.
    """
    row = FIRST.find_durable(key, client)
    if row and row["fingerprint"] != body_fingerprint:
        detail = (
            "This Idempotency-Key was used with another body. "
            "Send a new key, or the same body as the first time."
        )
        raise Problem("idempotency_key_reused", 422, detail)
    return row


def accept_once(job: Job) -> dict[str, Any] | None:
    """Accept the job or, if a concurrent request was first with its key, return `first_use`.

    Raises DatabaseError if neither is possible in time.
    """
    give_up_at = time.monotonic() + store.seconds_left()
    while not accept(job):
        if row := first_use(job.client, job.idempotency_key or "", job.fingerprint):
            return row
        # The other job was pruned at this moment, or MongoDB has not yet confirmed it.
        if time.monotonic() >= give_up_at:
            raise OperationalError("Another request with this key was not confirmed in time.")
        time.sleep(PAUSE_SECONDS)
    return None
