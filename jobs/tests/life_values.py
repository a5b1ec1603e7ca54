"""A job, a callback and a vendor's settings in plain Python, for the model of a job's life."""

from dataclasses import dataclass, field
from typing import NamedTuple

OPEN = {"queued", "processing", "waiting"}

# Answers that fail an attempt, with the outcome that is recorded for it.
ERRORS = {
    "throttled": "rate_limited",
    "throttled for long": "rate_limited",
    "unpaid": "no_credits",
    "denied": "auth",
    "down": "vendor_error",
    "timed out": "timeout",
    "garbled": "bad_reply",
    "refused": "invalid_input",
    "blocked": "blocked",
}


@dataclass(frozen=True)
class Terms:
    """Settings of a vendor."""

    max_attempts: int
    repeat_unknown: bool
    repeat_overdue: bool


@dataclass(frozen=True)
class Weather:
    """A vendor's standing when an answer is recorded: whether its breaker is open, and whether it
    denies all jobs.
    """

    is_down: bool
    denies_all: bool


class Key(NamedTuple):
    """Identifies a callback."""

    job: str
    run: int
    attempt: int
    text: str

    @property
    def result(self) -> dict[str, str]:
        return {"callback": f"{self.text} {self.run}.{self.attempt}"}


@dataclass
class PlainCallback:
    received_at: float
    verdict: str = ""
    has_moved_its_job: bool = False  # and the receiver crashed before it was recorded


@dataclass
class PlainJob:
    vendor: str
    terms: Terms
    status: str = "queued"
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    run: int = 1
    holder: str = ""
    is_delayed: bool = False
    deadline: float = 0.0
    expires: float | None = None  # None: it does not, or not any more
    outcome: str = ""
    result: dict[str, str] | None = None
    error: str = ""
    attempts: list[tuple[int, int]] = field(default_factory=list)  # run and number of each
    history: dict[int, str] = field(default_factory=dict)  # outcomes, by number
    overtaken: set[int] = field(default_factory=set)  # attempts whose answer came too late to count

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def is_in_stream(self) -> bool:
        return self.status == "queued" and not self.is_delayed

    @property
    def numbers(self) -> tuple[str, int, int, int, int]:
        return self.status, self.attempt, self.run, self.failures, self.crashes

    def is_making(self, attempt: int) -> bool:
        return (self.status, self.attempt) == ("processing", attempt)

    def queue(self, *, delayed: bool = False) -> None:
        self.status, self.is_delayed, self.expires = "queued", delayed, None

    def has_expired(self, clock: float) -> bool:
        is_late = self.expires is not None and self.expires <= clock
        return self.status == "queued" and is_late

    def complete(self, result: dict[str, str] | None) -> None:
        self.status, self.error, self.is_delayed = "complete", "", False
        self.outcome, self.result = "no_data" if result is None else "found", result

    def fail(self, code: str) -> None:
        self.status, self.error, self.is_delayed = "failed", code, False
