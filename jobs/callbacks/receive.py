"""Receives callbacks: store, apply, enforce the caps. A callback is stored before it is applied, so
that a crash between the two loses nothing.
"""

import hashlib
from datetime import datetime
from typing import Any

from django.db.models import F

from jobs.callbacks import caps
from jobs.callbacks.apply import apply
from jobs.callbacks.read import EQUAL_NAMES
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Callback, Verdict
from jobs.storage import bulk_writes
from jobs.storage.group_commit import GroupCommit
from jobs.storage.store import writing
from vendors.models import Vendor
from vendors.payloads.cleaning import clean
from vendors.payloads.json_reader import (
    UNAMBIGUOUS_JSON,
    VENDOR_JSON,
    EqualNames,
    InvalidJSON,
)


class NotAnObjectError(Exception):
    """The body is not a JSON object that can be stored. The message says why and does not quote
    the body.
    """


class TooManyError(Exception):
    """The job already has as many unapplied callbacks as are kept. Send this one again later."""


def receive(
    vendor: Vendor,
    job_id: str,
    ref: AttemptRef | None,
    *,
    webhook_id: str,
    body: bytes,
    now: datetime,
) -> Verdict | None:
    """Store a callback, apply it, and return its verdict; None means that the sweep applies it
    later.

    `ref` is the attempt that its token names, None without a token; `webhook_id` is empty for an
    unsigned request. Raises NotAnObjectError, or TooManyError if the callback was not kept and
    must be sent again.
    """
    callback = _new(vendor, job_id, ref, webhook_id=webhook_id, body=body, now=now)
    if verdict := caps.verdict_without_room(callback):
        caps.count_dropped(callback, verdict)
        return verdict
    callback = _store(callback)
    is_new = callback.times_received == 1
    verdict = apply(callback, vendor, now)
    if verdict != Verdict.APPLIED and is_new and not caps.keep(callback, verdict):
        caps.count_dropped(callback, verdict)
        if verdict in (None, Verdict.UNREADABLE) and caps.is_awaited(callback):
            raise TooManyError
    return verdict


def store(
    vendor: Vendor,
    job_id: str,
    ref: AttemptRef | None,
    *,
    webhook_id: str,
    body: bytes,
    now: datetime,
) -> Callback:
    """Store a cleaned callback and return it. A repeat is counted, and the row of the first is
    returned. Arguments as for `receive`.
    """
    return _store(_new(vendor, job_id, ref, webhook_id=webhook_id, body=body, now=now))


def _new(
    vendor: Vendor,
    job_id: str,
    ref: AttemptRef | None,
    *,
    webhook_id: str,
    body: bytes,
    now: datetime,
) -> Callback:
    payload, reason = _read(body)
    run, attempt = ref or (None, None)
    # The body is part of the key: after a refusal, a vendor may send a corrected message under the
    # same id.
    parts = (vendor.slug, job_id, run, attempt, webhook_id, hashlib.sha256(body).hexdigest())
    return Callback(
        key=hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest(),
        vendor=vendor.slug,
        job=job_id,
        run=run,
        attempt=attempt,
        body=clean(payload, vendor.redacted_fields),
        body_bytes=len(body),
        reason=reason,
        received_at=now,
    )


def _read(body: bytes) -> tuple[dict[str, Any], str]:
    """Return the object in the body, and why it must not be applied by itself, if so."""
    try:
        try:
            return UNAMBIGUOUS_JSON.read_object(body), ""
        except EqualNames:
            return VENDOR_JSON.read_object(body), EQUAL_NAMES
    except InvalidJSON as error:
        raise NotAnObjectError(str(error)) from None


def _store(callback: Callback) -> Callback:
    while not _storing.commit(callback):
        same = Callback.objects.filter(key=callback.key)
        with writing():
            same.update(times_received=F("times_received") + 1)
        if stored := same.first():  # else it was deleted just now
            return stored
    return callback


# Callbacks that arrive together share a commit.
_storing: GroupCommit[Callback, bool] = GroupCommit(bulk_writes.insert_each)
