"""The request limits of clients in Redis: exact, over all processes
(jobs/queue/lua/request_limits.lua).

Best effort: requests are no rows, so nothing could restore a lost log. When Redis does not answer,
or has lost its data, requests are let in (docs/decisions/0022-request-limits-of-clients.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.queue.buckets import window_arguments
from jobs.queue.keys import requests_key
from jobs.queue.redis import script
from jobs.queue.stream import hints_may_fail
from vendors.limits import Window


@dataclass(frozen=True)
class Room:
    """How many more requests a window has room for, and when one of those counted leaves it."""

    window: Window
    remaining: int
    reset_seconds: float  # 0 if none is counted


@dataclass(frozen=True)
class Count:
    """What came of counting a request. One that is not let in counts nothing."""

    is_let_in: bool
    rooms: tuple[Room, ...]  # of each window, shortest first


def count(client: str, windows: Sequence[Window]) -> Count | None:
    """Count a request of the client, given its windows, at least one and shortest first.

    One round trip. None if Redis does not answer: nothing is known then, and the request is let in.
    """
    replies: list[list[int]] = []
    hints_may_fail.give(
        lambda redis: replies.append(
            script("request_limits")(
                keys=[requests_key(client)], args=window_arguments(windows), client=redis
            )
        )
    )
    if not replies:
        return None
    let_in, *numbers = replies[0]
    pairs = zip(windows, numbers[::2], numbers[1::2], strict=True)
    rooms = tuple(Room(window, left, reset_us / 1e6) for window, left, reset_us in pairs)
    return Count(bool(let_in), rooms)
