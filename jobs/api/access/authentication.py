"""Finds out who sent a request: by its API key or, as long as there is none, anybody."""

import logging
import re
import time
from contextlib import suppress
from datetime import timedelta
from threading import Lock
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from clients.directory import Caller, directory
from clients.models import ApiKey
from jobs.api.access.addresses import client_address
from jobs.api.problems import Problem
from jobs.storage.store import STORE_ERRORS, patience, seconds_left, writing

log = logging.getLogger(__name__)

BEARER = re.compile("Bearer ([^ ]+)", re.IGNORECASE)
LAST_USE_INTERVAL = timedelta(minutes=1)
PATIENCE_SECONDS = 1.7
LAST_USE_PATIENCE_SECONDS = 0.2
LOG_INTERVAL_SECONDS = 1.0
CHALLENGE = 'Bearer realm="EnrichLabs"'


class Unauthorized(Problem):
    """The one answer to every request without a valid key: it does not say what is wrong with it.

    The connection is closed, because the request's body may not have arrived.
    """

    is_logged = True

    def __init__(self) -> None:
        super().__init__(
            "unauthorized",
            401,
            "Send a valid API key in the header Authorization: Bearer elk_...",
            headers={
                "WWW-Authenticate": CHALLENGE,
                "Connection": "close",
                "Cache-Control": "no-store",
                "Vary": "Authorization",
            },
        )


class ApiKeyAuthentication(BaseAuthentication):
    """REST framework's authentication by API key. `request.user` is a Caller."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        # Also where the request as a whole may wait for the store for longer.
        with patience(min(PATIENCE_SECONDS, seconds_left())):
            return authenticate(request._request), None

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def authenticate(request: HttpRequest) -> Caller:
    """Return who sent the request, judged by its headers alone. Raises Unauthorized, or one of
    STORE_ERRORS if the store does not answer.
    """
    header, address = request.META.get("HTTP_AUTHORIZATION"), client_address(request.META)
    caller = _anonymous() if header is None else _of_key(header, address)
    if caller is None:
        refusals.note(address)
        raise Unauthorized
    return caller


class RefusalLog:
    """Logs how many requests had no valid key: at most a line a second, and nothing of a key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._next_at = float("-inf")

    def note(self, address: str) -> None:
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if now < self._next_at:
                return
            count, self._count = self._count, 0
            self._next_at = now + LOG_INTERVAL_SECONDS
        text = "Requests refused without a valid API key: %d, the last one from %s"
        log.info(text, count, address or "an unknown address")


refusals = RefusalLog()


def _anonymous() -> Caller | None:
    return directory.anonymous() if settings.ALLOW_ANONYMOUS else None


def _of_key(header: str, address: str) -> Caller | None:
    found = BEARER.fullmatch(header)
    caller = directory.find(found[1], address, timezone.now()) if found else None
    if caller and caller.key:
        _note_use(caller.key)
    return caller


def _note_use(key: ApiKey) -> None:
    """Keep when the key was last used, to the minute. It does not matter if that fails."""
    now = timezone.now()
    due = now - LAST_USE_INTERVAL
    if key.last_used_at and key.last_used_at > due:
        return
    key.last_used_at = now  # in this process' copy, so that no other thread does the same
    used_before = Q(last_used_at=None) | Q(last_used_at__lte=due)
    with suppress(*STORE_ERRORS), patience(LAST_USE_PATIENCE_SECONDS), writing():
        ApiKey.objects.filter(used_before, pk=key.pk).update(last_used_at=now)
