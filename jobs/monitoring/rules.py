"""What may be wrong with the service: each rule finds its problems in a snapshot, and makes the
alert of deploy/prometheus/alerts.yml that pages for them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jobs.monitoring.facts import Problem, ServiceSnapshot, Severity


@dataclass(frozen=True)
class Alert:
    """An alert of Prometheus. `lasts`: how long `expr` must be true before it fires."""

    expr: str
    lasts: str
    summary: str
    runbook: str  # the anchor of a section in docs/operations.md


@dataclass(frozen=True)
class Rule:
    name: str
    severity: Severity
    find: Callable[[ServiceSnapshot], Iterable[Problem]]
    alert: Alert | None
    no_alert_because: str = ""


RULES: list[Rule] = []
