"""Requests that wait for a job or a batch to end, as `Prefer: wait` asks
(docs/decisions/0027-waiting.md).
"""

import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import TypeVar, cast

from django.http import HttpRequest
from rest_framework.request import Request

from clients.directory import Caller
from clients.scopes import Scope
from jobs.api.access import slots
from jobs.api.access.authentication import authenticate
from jobs.api.input.preferences import wait_seconds
from jobs.api.problems import Problem
from jobs.queue.waiting import waiters
from jobs.storage.store import STORE_ERRORS, patience

T = TypeVar("T")
# Reads a row for the caller, and returns None if it is not final yet. May raise Problem and
# STORE_ERRORS.
Look = Callable[[Caller], T | None]

LOOK_PATIENCE_SECONDS = 1.7


@dataclass(frozen=True)
class Wait:
    """For how long a request would wait for what it asks about to become final."""

    request: HttpRequest
    seconds: int  # 0: not at all
    until: float  # monotonic

    @property
    def headers(self) -> dict[str, str]:
        """Return the header of an answer that shows something final."""
        return {"Preference-Applied": f"wait={self.seconds}"} if self.seconds else {}

    def until_final(self, ended_id: str, look: Look[T], *, vendor: str = "") -> T | None:
        """Wait until this job of `vendor`, or this batch, has ended, and return what `look` returns
        then. None: send the plain answer, which was true when the request came.
        """
        if not self.seconds:
            return None
        with slots.waiters.taken() as has_place:
            if not has_place:
                return None
            with waiters.waiting_for(ended_id, self.seconds, vendor) as ended:
                if ended is None:
                    return None
                found = self.look(look)  # it may have ended before
                if found is None:
                    ended.wait(max(self.until - time.monotonic(), 0.0))
            return found or self.look(look)

    def look(self, look: Look[T]) -> T | None:
        """Return what `look` returns, or None if it raises, or if the key was revoked meanwhile.

        The patience of the request with the store may be used up by now, and can't be extended in
        its context. So this has a context and patience of its own.
        """
        found: T | None = Context().run(lambda: self._look(look))
        return found

    def _look(self, look: Look[T]) -> T | None:
        try:
            with patience(LOOK_PATIENCE_SECONDS):
                caller = authenticate(self.request)
                return look(caller) if Scope.READ in caller.scopes else None
        except (Problem, *STORE_ERRORS):
            return None


def asked_for(request: Request) -> Wait:
    """Return how long the request would wait. Call it when the request begins."""
    may_wait = request.method != "HEAD" and Scope.READ in cast("Caller", request.user).scopes
    seconds = wait_seconds(request.META.get("HTTP_PREFER", "")) if may_wait else 0
    return Wait(request._request, seconds, time.monotonic() + seconds)
