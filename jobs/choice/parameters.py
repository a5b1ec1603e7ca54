"""How a choice is written in a URL."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import QueryDict

from jobs.models import Status

SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
TODAY = "today"
# As the console calls them, where it says more than the name does.
LABELS = {
    "q": "Search",
    "error_code": "Error",
    "created": "Accepted",
    "created_after": "Accepted since",
    "created_before": "Accepted before",
    "ended_after": "Ended since",
    "waiting_over": "Waiting longer than",
    "waiting_since": "Waiting since before",
    "reruns": "Retried before",
}
MAX_LENGTH = 255
MAX_IDS = 1000
TEXTS = ("vendor", "error_code", "client", "batch", "reference", "bulk", "q")


class ChoiceError(ValueError):
    """Filters that can't be used. `problems`: a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def read(query: QueryDict) -> dict[str, Any]:
    """Return the fields of a choice. Raises ChoiceError."""
    fields, problems = {}, []
    for name, reader in READERS.items():
        if text := str(query.get(name) or "").strip():
            try:
                fields[name] = reader(text)
            except ValueError as error:
                problems.append(f"{LABELS.get(name, name.capitalize())}: {error}")
    try:
        fields["ids"] = _ids(query.getlist("id"))
    except ValueError as error:
        problems.append(str(error))
    after, before = fields.get("created_after"), fields.get("created_before")
    if after and before and after >= before:
        problems.append("Accepted since must be earlier than accepted before.")
    if problems:
        raise ChoiceError(problems)
    return fields


def write(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parameters of these fields of a choice."""
    pairs = [("id", job_id) for job_id in fields.get("ids") or ()]
    return pairs + [(name, _text(fields[name])) for name in READERS if fields.get(name)]


def span_text(span: timedelta) -> str:
    """Return, for example, 10m or 1h: in the largest unit that divides it."""
    unit, size = next((it for it in reversed(UNITS.items()) if not span % it[1]), ("s", UNITS["s"]))
    return f"{span // size}{unit}"


def time_text(at: datetime) -> str:
    """Return the time in UTC, as short as it can be without loss."""
    spec = "minutes" if not (at.second or at.microsecond) else "auto"
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=spec)


def _text(value: Any) -> str:
    match value:
        case True:
            return "1"
        case datetime():
            return time_text(value)
        case timedelta():
            return span_text(value)
    return str(value)


def _ids(texts: list[Any]) -> tuple[str, ...]:
    if len(texts) > MAX_IDS:
        raise ValueError(f"At most {MAX_IDS:,} jobs can be named. Choose them by a filter.")
    try:
        return tuple(dict.fromkeys(str(UUID(str(text))) for text in texts))
    except ValueError:
        raise ValueError("One of the ids is not a request id.") from None


def _short(text: str) -> str:
    if len(text) > MAX_LENGTH or "\0" in text:
        raise ValueError(f"must be at most {MAX_LENGTH} characters.")
    return text


def _status(text: str) -> str:
    return _one_of(text, Status.values)


def _created(text: str) -> str:
    return _one_of(text, [TODAY, *SPANS])


def _ended(text: str) -> str:
    return _one_of(text, SPANS)


def _one_of(text: str, known: Collection[str]) -> str:
    if text not in known:
        raise ValueError(f"must be one of {', '.join(known)}.")
    return text


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time, such as 2026-01-31T12:00 (UTC).") from None


def _span(text: str) -> timedelta:
    if not (found := re.fullmatch(r"([0-9]{1,5})([smhd])", text)) or not int(found[1]):
        raise ValueError("must be a number and a unit, such as 10m, 1h or 1d.")
    return int(found[1]) * UNITS[found[2]]


def _yes(text: str) -> bool:
    return text in ("1", "on", "true", "yes")


READERS: dict[str, Callable[[str], Any]] = {
    "status": _status,
    **dict.fromkeys(TEXTS, _short),
    "created": _created,
    "created_after": _time,
    "created_before": _time,
    "ended": _ended,
    "ended_after": _time,
    "waiting_over": _span,
    "waiting_since": _time,
    "reruns": _yes,
}
