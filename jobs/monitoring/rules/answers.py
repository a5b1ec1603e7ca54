"""Rules about what vendors answer, what was refused, and what had to be repaired."""

from collections.abc import Iterator

from jobs.monitoring.facts import Problem, ServiceSnapshot, Severity
from jobs.monitoring.history import VendorHistory
from jobs.monitoring.rules.rule import Alert, Rule, counted

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING
ERROR_SHARE = 0.1
MOSTLY = 0.5
MIN_CALLS = 20
REFUSED_CALLBACKS = 20
SPIKE = 3
REPAIRS = ("lost_entries", "in_flight_corrections", "requeued_entries")


def error_rate(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for slug, history in _vendors(snapshot):
        if is_failing(history) and not _is_down(snapshot, slug):
            code = next((code for code, _ in history.codes.most_common(1)), "")
            mostly = f", mostly {code}" if code else ""
            sentence = (
                f"{history.error_share:.0%} of the calls of {slug} failed in the last five "
                f"minutes{mostly}; over the last day, {history.error_share_day:.0%} did."
            )
            yield _about(slug, "error_rate", sentence, "see_errors")


def _is_down(snapshot: ServiceSnapshot, slug: str) -> bool:
    """Return whether breaker_open says already that its calls fail."""
    held = snapshot.redis.vendors.get(slug)
    return bool(held and held.breaker and not held.breaker.is_throttled)


def is_failing(history: VendorHistory) -> bool:
    share = history.error_share
    if history.calls < MIN_CALLS or share <= ERROR_SHARE:
        return False
    # One that fails all day long is news only if it fails for the most part.
    return share > 2 * history.error_share_day or share > MOSTLY


def callbacks_overdue(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for slug, history in _vendors(snapshot):
        if count := history.events["callbacks_overdue"]:
            jobs = counted(count, "job")
            sentence = f"{jobs} of {slug} got no answer in time in the last 10 min."
            yield _about(slug, "callbacks_overdue", sentence, "see_callbacks", "see_jobs")


def callbacks_refused(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for slug, history in _vendors(snapshot):
        count, before = history.events["callbacks_refused"], 0
        before = history.events_before["callbacks_refused"]
        if count >= REFUSED_CALLBACKS and count > SPIKE * before:
            sentence = (
                f"{counted(count, 'callback')} of {slug} were refused in the last 10 min. Its "
                "secret may have changed, or somebody else sends them."
            )
            yield _about(slug, "callbacks_refused", sentence, "see_callbacks")


def callbacks_unreadable(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for slug, history in _vendors(snapshot):
        if count := history.events["callbacks_unreadable"]:
            callbacks = counted(count, "callback")
            sentence = (
                f"{callbacks} of {slug} could not be read in the last 10 min. Correct its "
                "definition or adapter, then apply them again."
            )
            yield _about(slug, "callbacks_unreadable", sentence, "apply_callbacks")


def queue_full(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for slug, history in _vendors(snapshot):
        if count := history.events["queue_full"]:
            sentence = (
                f"The queue of {slug} is full: {counted(count, 'request')} refused in the last 10 "
                "min. Raise its max_queued, or its limits."
            )
            yield _about(slug, "queue_full", sentence, "change_limits", "see_jobs")


def overloaded(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    if count := snapshot.events("overloaded"):
        sentence = (
            f"The API is overloaded: {counted(count, 'request')} refused in the last 10 min. Add "
            "processes if cores are idle, else machines."
        )
        yield Problem("overloaded", WARNING, sentence)


def repairs_rising(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    """Find repairs that go on: after a crash or a loss of Redis' data they end within a minute."""
    for slug, history in _vendors(snapshot):
        now = sum(history.events[name] for name in REPAIRS)
        if now and sum(history.events_before[name] for name in REPAIRS):
            sentence = (
                f"The queue of {slug} is repaired again and again: {counted(now, 'time')} in the "
                "last 10 min. Redis loses data, or clocks differ."
            )
            yield _about(slug, "repairs_rising", sentence)


def bulk_action_held(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for action in snapshot.bulk_actions:
        if action.held_by:
            sentence = f"A bulk action of {action.actor} does not go on: {action.held_by}"
            subject, acts = ("bulk", action.pk), ("see_bulk_action",)
            yield Problem("bulk_action_held", WARNING, sentence, None, subject, acts)


def _vendors(snapshot: ServiceSnapshot) -> Iterator[tuple[str, VendorHistory]]:
    for line in snapshot.vendors:
        if history := snapshot.histories.get(line.slug):
            yield line.slug, history


def _about(slug: str, rule: str, sentence: str, *acts: str) -> Problem:
    return Problem(rule, WARNING, sentence, None, ("vendor", slug), acts)


def _share(duration: str) -> str:
    errors = f'sum by (vendor) (increase(enrichlabs_attempts_total{{outcome="error"}}[{duration}]))'
    return f"{errors} / sum by (vendor) (increase(enrichlabs_attempts_total[{duration}]))"


def _increase(name: str, since: str = "[10m]") -> str:
    return f"sum by (vendor) (increase(enrichlabs_{name}_total{since}))"


def _any(*names: str, since: str = "[10m]") -> str:
    """Return which vendors had one of these. Two counters have the same labels, so that a range of
    both at once is an error.
    """
    found = (f"{_increase(name, since=since)} > 0" for name in names)
    return f"({' or '.join(found)})"


RULES = [
    Rule(
        "error_rate",
        WARNING,
        error_rate,
        Alert(
            f"{_share('5m')} > 0.1 and ({_share('5m')} > 2 * ({_share('1d')})"
            f" or {_share('5m')} > 0.5)"
            " and sum by (vendor) (increase(enrichlabs_attempts_total[5m])) >= 20"
            " unless on(vendor) enrichlabs_breaker_open == 1",
            "1m",
            "Over 10 % of the calls of {{ $labels.vendor }} fail.",
        ),
    ),
    Rule(
        "callbacks_overdue",
        WARNING,
        callbacks_overdue,
        Alert(
            f"{_increase('callbacks_overdue')} > 0",
            "0s",
            "Jobs of {{ $labels.vendor }} got no answer in time.",
        ),
    ),
    Rule(
        "callbacks_refused",
        WARNING,
        callbacks_refused,
        Alert(
            f"{_increase('callbacks_refused')} >= 20 and {_increase('callbacks_refused')}"
            f" > 3 * {_increase('callbacks_refused', since='[10m] offset 10m')}",
            "0s",
            "Many callbacks of {{ $labels.vendor }} are refused.",
        ),
    ),
    Rule(
        "callbacks_unreadable",
        WARNING,
        callbacks_unreadable,
        Alert(
            f"{_increase('callbacks_unreadable')} > 0",
            "0s",
            "Callbacks of {{ $labels.vendor }} can't be read.",
        ),
    ),
    Rule(
        "queue_full",
        WARNING,
        queue_full,
        Alert(
            f"{_increase('queue_full')} > 0",
            "0s",
            "The queue of {{ $labels.vendor }} is full.",
        ),
    ),
    Rule(
        "overloaded",
        WARNING,
        overloaded,
        Alert(
            "sum(increase(enrichlabs_overloaded_total[10m])) > 0", "0s", "The API is overloaded."
        ),
    ),
    Rule(
        "repairs_rising",
        WARNING,
        repairs_rising,
        Alert(
            f"{_any(*REPAIRS)} and {_any(*REPAIRS, since='[10m] offset 10m')}",
            "0s",
            "The queue of {{ $labels.vendor }} is repaired again and again.",
        ),
    ),
    Rule(
        "bulk_action_held",
        WARNING,
        bulk_action_held,
        no_alert_because="What holds it has an alert of its own, and it goes on by itself.",
    ),
]
