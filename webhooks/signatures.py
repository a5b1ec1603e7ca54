"""Signatures of callbacks, as https://www.standardwebhooks.com specifies them: HMAC-SHA256 over id,
timestamp and raw body.

Pure functions: secrets, headers, body and time are arguments.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from vendors.variables import signing_key

TOLERANCE_SECONDS = 5 * 60
SECONDS = re.compile(r"[0-9]{1,12}")


class RefusedError(Exception):
    """The request is not proven to be the vendor's. `code` says why, for the log but not for the
    sender.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> str:
    """Return the webhook-id of a request that one of the secrets signed within the tolerance, by
    default five minutes, of `now`.

    Raises RefusedError, and no other exception, whatever the secrets and headers contain.
    """
    keys = [key for key in map(signing_key, secrets) if key]
    if not keys:
        raise RefusedError("secret_unusable" if secrets else "secret_unset")
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    webhook_id, timestamp, signatures = (headers.get(name, "") for name in names)
    if not (webhook_id and timestamp and signatures):
        raise RefusedError("signature_missing")
    if not webhook_id.isascii() or not SECONDS.fullmatch(timestamp):
        raise RefusedError("signature_malformed")
    if not _is_signed(keys, webhook_id, timestamp, signatures, body):
        raise RefusedError("signature_wrong")
    if abs(now.timestamp() - int(timestamp)) > tolerance_seconds:
        raise RefusedError("timestamp_out_of_range")
    return webhook_id


def sign(secret: str, webhook_id: str, timestamp_seconds: int, body: bytes) -> str:
    """Return the webhook-signature header. Raises ValueError if the secret is not base64."""
    key = signing_key(secret)
    if not key:
        raise ValueError("The secret must be base64, with or without the prefix whsec_.")
    return _sign(key, webhook_id, str(timestamp_seconds), body)


def _is_signed(
    keys: Sequence[bytes], webhook_id: str, timestamp: str, signatures: str, body: bytes
) -> bool:
    expected = [_sign(key, webhook_id, timestamp, body).encode() for key in keys]
    # Each signature starts with its version. Unknown versions match nothing.
    given = [signature.encode("utf-8", "replace") for signature in signatures.split(" ")]
    return any([hmac.compare_digest(one, other) for one in expected for other in given])


def _sign(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
