"""What the service answers, as typed objects. `raw` also has the fields that are unknown here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from enrichlabs_client.errors import UnexpectedAnswer

FINAL = frozenset({"complete", "failed", "cancelled"})

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why a job failed, or why an item of a batch was refused."""

    code: str
    message: str
    pointer: str | None = None
    """The field of a refused item, such as /name."""

    @classmethod
    def of(cls, raw: Any) -> Self | None:
        if not isinstance(raw, Mapping):
            return None
        return cls(text(raw, "code"), text(raw, "message"), optional(raw, "pointer"))


@dataclass(frozen=True)
class HeldBy:
    """What keeps a queued job from being called."""

    kind: str
    """delay, pause, worker, breaker, limit, quota, in_flight or credential"""
    message: str
    """A sentence for people."""
    name: str | None = None
    """Of the limit, key or credential; None if it is the vendor's own, or has none."""
    until: datetime | None = None
    """When it ends; None if that is unknown."""

    @classmethod
    def of(cls, raw: Any) -> Self | None:
        if not isinstance(raw, Mapping):
            return None
        kind, message = text(raw, "kind"), text(raw, "message")
        return cls(kind, message, optional(raw, "name"), time(raw, "until"))


@dataclass(frozen=True)
class Job:
    """A request to a vendor. A job that was just posted has an id and a status only."""

    id: str
    status: str
    """queued, processing, complete, failed or cancelled"""
    outcome: str | None = None
    """If complete: found, or no_data if the vendor did its work and has nothing."""
    vendor: str | None = None
    name: str | None = field(default=None, repr=False)
    result: Any = field(default=None, repr=False)
    """The vendor's answer, if complete; None if the outcome is no_data."""
    error: Failure | None = None
    reference: str | None = None
    metadata: Mapping[str, str] | None = None
    attempts: int | None = None
    run: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    batch_id: str | None = None
    batch_index: int | None = None
    held_by: HeldBy | None = None
    """If queued: what holds it; None if it waits for its turn, or if this is not known."""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @classmethod
    def of(cls, raw: Raw) -> Self:
        return cls(
            id=text(raw, "request_id"),
            status=text(raw, "status"),
            outcome=optional(raw, "outcome"),
            error=Failure.of(raw.get("error")),
            result=raw.get("result"),
            vendor=optional(raw, "vendor"),
            name=optional(raw, "name"),
            reference=optional(raw, "reference"),
            metadata=raw.get("metadata"),
            attempts=number(raw, "attempts"),
            run=number(raw, "run"),
            created_at=time(raw, "created_at"),
            started_at=time(raw, "started_at"),
            finished_at=time(raw, "finished_at"),
            not_before=time(raw, "not_before"),
            expires_at=time(raw, "expires_at"),
            batch_id=optional(raw, "batch_id"),
            batch_index=number(raw, "batch_index"),
            held_by=HeldBy.of(raw.get("held_by")),
            raw=raw,
        )


@dataclass(frozen=True)
class Batch:
    """Jobs that were posted together."""

    id: str
    state: str
    """receiving, running or finished"""
    reference: str | None = None
    received: int | None = None
    """How many items came, refused ones included. Not in lists."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """The number of items by status. Not in lists."""
    created_at: datetime | None = None
    sealed_at: datetime | None = None
    finished_at: datetime | None = None
    cut_short: bool = False
    """Nobody went on with its upload, so it ran with the items that had come."""
    pending_action: str | None = None
    """cancel or retry, if the service is still carrying it out"""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_finished(self) -> bool:
        return self.state == "finished"

    @property
    def open(self) -> int:
        """How many jobs are not final."""
        return self.counts.get("queued", 0) + self.counts.get("processing", 0)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        counts = raw.get("counts")
        known = counts.items() if isinstance(counts, Mapping) else ()
        return cls(
            id=text(raw, "batch_id"),
            state=text(raw, "state"),
            received=number(raw, "received"),
            counts={name: value for name, value in known if type(value) is int},
            cut_short=raw.get("cut_short") is True,
            reference=optional(raw, "reference"),
            pending_action=optional(raw, "pending_action"),
            created_at=time(raw, "created_at"),
            sealed_at=time(raw, "sealed_at"),
            finished_at=time(raw, "finished_at"),
            raw=raw,
        )


@dataclass(frozen=True)
class Refusal:
    """An item of a batch that was not accepted."""

    index: int
    status: int
    code: str
    detail: str
    pointer: str | None = None

    @classmethod
    def of(cls, raw: Raw) -> Self:
        index, status = number(raw, "index"), number(raw, "status")
        if index is None or status is None:
            raise UnexpectedAnswer("The service's answer has a refusal without index or status.")
        detail, pointer = text(raw, "detail"), optional(raw, "pointer")
        return cls(index, status, text(raw, "code"), detail, pointer)


@dataclass(frozen=True)
class Upload:
    """What became of the items of one uploaded batch."""

    batch_id: str
    state: str
    received: int
    accepted: int
    refused: int
    refusals: tuple[Refusal, ...] = ()
    """The first 100 of those refused."""
    replayed: bool = False
    """The batch was whole before this upload, which therefore added nothing."""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw, *, replayed: bool) -> Self:
        refusals = raw.get("refusals")
        return cls(
            batch_id=text(raw, "batch_id"),
            state=text(raw, "state"),
            received=number(raw, "received") or 0,
            accepted=number(raw, "accepted") or 0,
            refused=number(raw, "refused") or 0,
            refusals=tuple(map(Refusal.of, refusals if isinstance(refusals, list) else ())),
            replayed=replayed,
            raw=raw,
        )


@dataclass(frozen=True)
class Vendor:
    slug: str
    enabled: bool
    required_input: tuple[str, ...]
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        required = raw.get("required_input")
        names = required if isinstance(required, list) else ()
        return cls(text(raw, "slug"), raw.get("enabled") is True, tuple(map(str, names)), raw)


def text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise UnexpectedAnswer(f"The service's answer has no text {name!r}.")
    return value


def optional(raw: Raw, name: str) -> str | None:
    value = raw.get(name)
    return value if isinstance(value, str) else None


def number(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return value if type(value) is int else None  # and not True


def time(raw: Raw, name: str) -> datetime | None:
    value = optional(raw, name)
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise UnexpectedAnswer(f"The service's answer has no time in {name!r}.") from None
