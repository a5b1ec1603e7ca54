"""Everything that a batch's client saw of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.batches.drafts import Draft


@dataclass(frozen=True)
class Sent:
    """One upload, and its answer."""

    at: float  # Unix seconds
    api: str
    took_seconds: float
    answer: str  # status, or the name of an exception
    code: str = ""  # of a problem
    batch_id: str = ""
    is_replay: bool = False
    counts: tuple[int, int, int] = (0, 0, 0)  # received, accepted, refused

    @property
    def is_accepted(self) -> bool:
        return self.answer == "202"


@dataclass
class Parcel:
    draft: Draft
    sent: list[Sent] = field(default_factory=list)
    cancel_requested: bool = False
    cancelled_at: float = 0.0  # Unix seconds: the API confirmed it
    retried: bool = False  # the API confirmed it at the end, when all jobs were final
    refusal: str = ""  # why the last cancel or retry was refused
    # The indexes in each results file that was read before the batch was finished.
    partial_indexes: list[Sequence[int]] = field(default_factory=list)
    # At the end: the batch as the API shows it and lists it, and both of its files.
    shown: dict[str, Any] = field(default_factory=dict)
    listed: Sequence[str] = ()
    lines: Sequence[dict[str, Any]] | None = None
    cells: Sequence[dict[str, str]] | None = None

    @property
    def batch_id(self) -> str:
        """Its id, or "" if no upload was answered with one."""
        return next((sent.batch_id for sent in self.sent if sent.batch_id), "")

    @property
    def is_sealed(self) -> bool:
        return any(sent.is_accepted for sent in self.sent)
