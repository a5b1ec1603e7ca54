"""What a choice says, in words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.choice.choice import Choice

UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))
SPANS = {
    "today": "today",
    "hour": "in the last hour",
    "day": "in the last day",
    "week": "in the last week",
}


def of(choice: "Choice") -> str:
    """Return, for example, `failed jobs of acme with the error timeout`."""
    first = " ".join([*_kind(choice), *_owner(choice)])
    return ", ".join([first, *_details(choice)])


def span(value: timedelta) -> str:
    """Return, for example, `10 minutes`."""
    for size, noun in UNITS:
        if value >= size and not value % size:
            return f"{value // size} {noun}{'' if value == size else 's'}"
    return f"{value.total_seconds():g} seconds"


def moment(at: datetime) -> str:
    spec = "%Y-%m-%d %H:%M:%S" if at.second else "%Y-%m-%d %H:%M"
    return f"{at.astimezone(UTC):{spec}} UTC"


def _kind(choice: "Choice") -> Iterator[str]:
    if choice.status:
        yield choice.status
    if choice.is_all:
        yield "all"
    if choice.ids:
        yield f"{len(choice.ids):,} named"
    yield "job" if len(choice.ids) == 1 else "jobs"


def _owner(choice: "Choice") -> Iterator[str]:
    if choice.vendor:
        yield f"of {choice.vendor}"
    if choice.error_code:
        yield f"with the error {choice.error_code}"


def _details(choice: "Choice") -> Iterator[str]:
    if choice.client:
        yield f"posted by {choice.client}"
    if choice.batch:
        yield f"in the batch {choice.batch}"
    if choice.reference:
        yield f"with the reference {choice.reference}"
    if choice.bulk:
        yield f"moved by the bulk action {choice.bulk}"
    if choice.q:
        yield f"found by {choice.q}"
    yield from _times(choice)
    if choice.reruns:
        yield "retried before"


def _times(choice: "Choice") -> Iterator[str]:
    yield from _accepted(choice)
    if choice.ended:
        yield f"ended {SPANS[choice.ended]}"
    if choice.ended_after:
        yield f"ended since {moment(choice.ended_after)}"
    if choice.waiting_over:
        yield f"waiting for more than {span(choice.waiting_over)}"
    if choice.waiting_since:
        yield f"waiting since before {moment(choice.waiting_since)}"


def _accepted(choice: "Choice") -> Iterator[str]:
    if choice.created:
        yield f"accepted {SPANS[choice.created]}"
    after, before = choice.created_after, choice.created_before
    if after and before:
        yield f"accepted from {moment(after)} until {moment(before)}"
    elif after:
        yield f"accepted since {moment(after)}"
    elif before:
        yield f"accepted before {moment(before)}"
