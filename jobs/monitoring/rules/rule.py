"""What a rule is, and how its sentences are worded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jobs.monitoring.facts import Problem, ServiceSnapshot, Severity, VendorLine


@dataclass(frozen=True)
class Alert:
    """An alert of Prometheus. `lasts`: how long `expr` must hold before it fires."""

    expr: str
    lasts: str
    summary: str


@dataclass(frozen=True)
class Rule:
    """Finds one kind of problem. Its runbook is the section of docs/operations.md with its name."""

    name: str
    severity: Severity
    find: Callable[[ServiceSnapshot], Iterable[Problem]]
    alert: Alert | None = None
    no_alert_because: str = ""


UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def counted(count: int, noun: str) -> str:
    """Return, for example, '1 job' or '2,000 jobs'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """Return a duration in its largest unit, such as 3 min."""
    whole = max(int(seconds), 0)
    unit, size = next(((unit, size) for unit, size in UNITS if whole >= size), UNITS[-1])
    return f"{whole // size} {unit}"


def waits(line: VendorLine) -> str:
    """Return how many jobs wait, as a sentence with a space before it; '' if none does."""
    if not line.waiting:
        return ""
    verb = "waits" if line.waiting == 1 else "wait"
    oldest = f", the oldest for {span(line.oldest_seconds)}" if line.oldest_seconds else ""
    return f" {counted(line.waiting, 'job')} {verb}{oldest}."


def ended(text: str) -> str:
    """Return the text with a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
