"""Request limits of clients, over our own limiter: REST framework's loses counts when requests
arrive together, and counts each process apart.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from clients.directory import Caller
from jobs.api.problems import rate_limited
from jobs.queue import request_limits
from jobs.queue.request_limits import Room
from vendors.limits import Window

if TYPE_CHECKING:  # when it is imported, it imports the class here
    from rest_framework.views import APIView

UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}


class RequestLimits(BaseThrottle):
    """Counts the request, and has the answer say how many more its client may send."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        view.headers.update(count_request(cast("Caller", request.user)))
        return True


def count_request(caller: Caller) -> dict[str, str]:
    """Count a request of the caller's client, and return headers of its answer: none without
    limits, or without Redis. Raises Problem if a limit is reached.
    """
    if not caller.windows:
        return {}
    count = request_limits.count(caller.client, caller.windows)
    if count is None:
        return {}
    headers = {"RateLimit-Policy": _policy(caller.windows), "RateLimit": _state(count.rooms)}
    if not count.is_let_in:
        full = [room for room in count.rooms if room.remaining <= 0]
        last = max(full, key=lambda room: room.reset_seconds)
        calls = last.window.calls
        period = UNITS.get(round(last.window.seconds)) or f"{last.window.seconds:.0f} s"
        raise rate_limited(f"{calls} requests per {period}", _seconds(last), headers)
    return headers


# The fields of draft-ietf-httpapi-ratelimit-headers-10: quota and window of each policy, and the
# requests that remain until the first of those counted leaves the window.


@lru_cache
def _policy(windows: Sequence[Window]) -> str:
    parts = [f'"{_name(each)}";q={each.calls};w={each.seconds:.0f}' for each in windows]
    return ", ".join(parts)


def _state(rooms: Sequence[Room]) -> str:
    parts = [f'"{_name(each.window)}";r={each.remaining};t={_seconds(each)}' for each in rooms]
    return ", ".join(parts)


def _name(window: Window) -> str:
    return UNITS.get(round(window.seconds)) or f"{window.seconds:.0f}s"


def _seconds(room: Room) -> int:
    return math.ceil(room.reset_seconds)
