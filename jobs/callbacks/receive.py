"""Receives callbacks: store, apply, enforce the caps. A callback is stored before it is applied, so
that a crash between the two loses nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F

from jobs.callbacks import caps
from jobs.callbacks.apply import apply
from jobs.callbacks.read import EQUAL_NAMES
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Callback, Verdict
from jobs.queue.tokens import kept_token
from jobs.storage import bulk_writes
from jobs.storage.group_commit import GroupCommit
from jobs.storage.store import writing
from vendors.adapters import storable
from vendors.base import VendorError
from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.models.secrets import MIN_LENGTH_IN_RESULTS
from vendors.payloads.cleaning import clean
from vendors.payloads.json_reader import (
    UNAMBIGUOUS_JSON,
    VENDOR_JSON,
    EqualNames,
    InvalidJSON,
)
from vendors.payloads.masking import masked_in, spellings
from vendors.registry import location_of


class NotAnObjectError(Exception):
    """The body is not a JSON object that can be stored. The message says why and does not quote
    the body.
    """


class NoReferenceError(Exception):
    """A callback to the URL of a vendor's whole account names no reference. The message does not
    quote it.
    """


class AdapterFailedError(Exception):
    """The adapter has a fault, so the vendor should send the callback again later."""


class TooManyError(Exception):
    """The job already has as many unapplied callbacks as are kept. Send this one again later."""


@dataclass(frozen=True)
class Message:
    """What a vendor has posted. `webhook_id` is empty if it has none."""

    vendor: Vendor
    body: bytes
    now: datetime
    webhook_id: str = ""


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
    message = Message(vendor, body, now, webhook_id)
    return _receive(message, _new(message, job_id, ref))


def receive_for_account(
    vendor: Vendor,
    *,
    headers: Mapping[str, str],
    webhook_id: str,
    body: bytes,
    now: datetime,
) -> Verdict | None:
    """Do the same for a callback to the URL of the vendor's whole account: the reference in it says
    which job it is for. `headers`: with names in lower case, and without secrets.

    Raises NoReferenceError and AdapterFailedError too.
    """
    reference = _reference(vendor, body, headers)
    message = Message(vendor, body, now, webhook_id)
    return _receive(message, _new(message, "", None, reference))


def _reference(vendor: Vendor, body: bytes, headers: Mapping[str, str]) -> str:
    payload, _ = _read(body)
    try:
        reference = catalogue.adapter(vendor).callback_reference(payload, headers)
    except VendorError as error:
        raise NoReferenceError(error.message) from None
    except Exception as error:  # without its message, which may quote the callback
        where = f"{type(error).__name__} at {location_of(error)}"
        raise AdapterFailedError(f"callback_reference failed with {where}") from error
    if not (reference and storable.is_reference(reference)):
        raise NoReferenceError("The callback has no reference.")
    return reference


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
    return _store(_new(Message(vendor, body, now, webhook_id), job_id, ref))


def _receive(message: Message, callback: Callback) -> Verdict | None:
    if verdict := caps.verdict_without_room(callback):
        caps.count_dropped(callback, verdict)
        return verdict
    callback = _store(callback)
    is_new = callback.times_received == 1
    verdict = apply(callback, message.vendor, message.now)
    if verdict != Verdict.APPLIED and is_new and not caps.keep(callback, verdict):
        caps.count_dropped(callback, verdict)
        if verdict in (None, Verdict.UNREADABLE) and caps.is_awaited(callback):
            raise TooManyError
    return verdict


def _new(message: Message, job_id: str, ref: AttemptRef | None, reference: str = "") -> Callback:
    payload, reason = _read(message.body)
    run, attempt = ref or (None, None)
    # The body is part of the key: after a refusal, a vendor may send a corrected message under the
    # same id.
    digest = hashlib.sha256(message.body).hexdigest()
    parts = [message.vendor.slug, job_id, run, attempt, message.webhook_id, digest]
    parts += [reference] if reference else []
    return Callback(
        key=hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "replace")).hexdigest(),
        vendor=message.vendor.slug,
        job=job_id,
        vendor_reference=reference,
        run=run,
        attempt=attempt,
        body=_storable(payload, message.vendor),
        body_bytes=len(message.body),
        reason=reason,
        received_at=message.now,
    )


def _storable(payload: dict[str, Any], vendor: Vendor) -> Any:
    """Return the payload without redacted fields, and without the token that the vendor has issued:
    a later one may hide it no more. Keys of ours are masked when it is read.
    """
    token = kept_token(vendor)
    hidden = spellings(token) if len(token) >= MIN_LENGTH_IN_RESULTS else ()
    return masked_in(clean(payload, vendor.redacted_fields), hidden)


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
