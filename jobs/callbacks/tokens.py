"""Tokens of callback URLs: an HMAC over vendor, job, run and attempt, so that nothing need be
stored before the call.
"""

import hmac
import re
from typing import NamedTuple

from django.conf import settings

FORM = re.compile(
    r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9a-f]{64})"
)  # not \d, which takes the digits of every script


class Try(NamedTuple):
    """Which try of a job a callback answers."""

    run: int
    attempt: int


def make(vendor: str, job_id: str, run: int, attempt: int) -> str:
    """Return the token, signed with the first of settings.CALLBACK_SECRETS."""
    return f"{run}.{attempt}.{_sign(settings.CALLBACK_SECRETS[0], vendor, job_id, run, attempt)}"


def read(token: str, vendor: str, job_id: str) -> Try | None:
    """Return the try that the token stands for, or None where no secret of ours has signed it for
    this job.
    """
    match = FORM.fullmatch(token)
    if not match:
        return None
    run, attempt = int(match[1]), int(match[2])
    signatures = [
        _sign(secret, vendor, job_id, run, attempt) for secret in settings.CALLBACK_SECRETS
    ]
    genuine = [hmac.compare_digest(signature, match[3]) for signature in signatures]
    return Try(run, attempt) if any(genuine) else None


def callback_url(vendor: str, job_id: str, run: int, attempt: int) -> str:
    """Return where the vendor posts its answer to this try."""
    return f"{settings.PUBLIC_URL}/vendor-webhook/{vendor}/{job_id}?token={make(vendor, job_id, run, attempt)}"


def _sign(secret: str, vendor: str, job_id: str, run: int, attempt: int) -> str:
    message = f"{vendor}\n{job_id}\n{run}\n{attempt}".encode()
    return hmac.digest(secret.encode(), message, "sha256").hex()
