"""Rules about vendors: what holds their jobs."""

from collections.abc import Iterator

from jobs.monitoring.facts import (
    Problem,
    ServiceSnapshot,
    Severity,
    VendorLine,
    VendorState,
    WindowUse,
)
from jobs.monitoring.rules.rule import Alert, Rule, counted, ended, span, waits
from jobs.recovery.unusable import everywhere
from vendors.models import Credential, CredentialKey

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING
OLDEST_SECONDS = 600.0
BACKLOG_SECONDS = 3600.0
AT_CAP_MINUTES = 5
LONG_PERIODS = ("day", "week", "month")
STILL = (
    VendorState.PAUSED,
    VendorState.NO_WORKER,
    VendorState.DOWN,
    VendorState.PROBING,
    VendorState.UNKNOWN,
)


def vendor_paused(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    """Find pauses that an answer has begun and that somebody has to end."""
    for line in snapshot.vendors:
        if needs_resume(line):
            sentence = f"{line.slug} is paused: {ended(line.vendor.pause_reason)}{waits(line)}"
            acts = ("resume", "see_errors")
            yield _about(line, "vendor_paused", CRITICAL, sentence, acts)


def needs_resume(line: VendorLine) -> bool:
    return line.vendor.paused and not line.vendor.paused_by


def vendor_uncalled(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    if not any(worker.state == "alive" for worker in snapshot.workers):
        return  # no_worker says so
    for line in snapshot.vendors:
        if line.state == VendorState.NO_WORKER:
            sentence = f"No live worker can call {line.slug}. {ended(line.sentence)}{waits(line)}"
            yield _about(line, "vendor_uncalled", CRITICAL, sentence, ("see_workers",))


def breaker_open(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for line in snapshot.vendors:
        held = snapshot.redis.vendors.get(line.slug)
        opened = held.breaker if held else None
        if opened and not opened.is_throttled and line.state != VendorState.PAUSED:
            code = f" ({opened.code})" if opened.code else ""
            probe = "It is probed, and goes on by itself once it answers."
            sentence = f"{line.slug} seems to be down: its calls fail{code}. {probe}{waits(line)}"
            yield _about(line, "breaker_open", CRITICAL, sentence, ("close_breaker", "see_errors"))


def key_paused(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    """Find keys that stay paused although their vendors go on with others."""
    for slug, credential in sorted(_credentials(snapshot).items()):
        paused = keys_to_resume(credential)
        if paused and len(paused) < len(credential.key_names):
            names = ", ".join(sorted(key.name for key in paused))
            sentence = f"{names} of the credential {slug} is paused: {paused[0].pause_reason}"
            yield Problem("key_paused", WARNING, ended(sentence), paused[0].paused_at)


def key_unused(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    """Find keys that no live worker has, although workers call their vendors with others."""
    lacking = everywhere(snapshot.redis.reports)
    for slug, credential in sorted(_credentials(snapshot).items()):
        names = [name for name in credential.key_names if f"{slug}/{name}" in lacking]
        if names:
            sentence = f"No worker can use {', '.join(names)} of the credential {slug}."
            why = ended(lacking[f"{slug}/{names[0]}"])
            yield Problem("key_unused", WARNING, f"{sentence} {why}", acts=("see_workers",))


def _credentials(snapshot: ServiceSnapshot) -> dict[str, Credential]:
    rows = (line.vendor.credential for line in snapshot.vendors if line.vendor.credential)
    return {row.slug: row for row in rows}


def keys_to_resume(credential: Credential) -> list[CredentialKey]:
    return [key for key in credential.states.values() if key.paused and not key.paused_by]


def quota_spent(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for line in snapshot.vendors:
        use = spent_quota(line)
        if use and use.full_until:
            left = span((use.full_until - snapshot.redis.now).total_seconds())
            what = f"{use.label} of the limit {use.bucket}" if use.bucket else use.label
            sentence = f"{line.slug} has used up {what}, for {left} more.{waits(line)}"
            yield _about(line, "quota_spent", WARNING, sentence, ("change_limits",))


def spent_quota(line: VendorLine) -> WindowUse | None:
    """Return a spent limit of a day or longer for which jobs wait; None if there is none."""
    spent = (it for it in line.windows if it.full_until and it.spent >= it.allowed)
    long = (use for use in spent if use.label.partition("/")[2] in LONG_PERIODS)
    return next(long, None) if line.waiting else None


def oldest_waiting(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    """Find vendors whose oldest job waits for ever longer, for no reason that is said already."""
    for line in snapshot.vendors:
        oldest = line.oldest_seconds or 0.0
        if line.state in STILL or oldest <= OLDEST_SECONDS:
            continue
        history = snapshot.histories.get(line.slug)
        samples = history.oldest_seconds[-6:] if history else []
        if samples and oldest > samples[0]:
            sentence = f"The jobs of {line.slug} wait ever longer.{waits(line)}"
            acts = ("see_jobs", "change_limits")
            yield _about(line, "oldest_waiting", WARNING, sentence, acts)


def backlog_long(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for line in snapshot.vendors:
        seconds = line.done_in_seconds
        if seconds is not None and seconds > BACKLOG_SECONDS and line.state not in STILL:
            jobs = counted(line.waiting or 0, "job")
            because = f", because of {line.done_in_bound}" if line.done_in_bound else ""
            sentence = f"{line.slug} needs {span(seconds)} for the {jobs} that wait{because}."
            acts = ("change_limits", "see_jobs")
            yield _about(line, "backlog_long", WARNING, sentence, acts)


def at_cap(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    """Find vendors whose slots are taken by jobs that wait for their answer, while others wait for
    a slot.
    """
    for line in snapshot.vendors:
        held = snapshot.redis.vendors.get(line.slug)
        history = snapshot.histories.get(line.slug)
        if held and held.has_no_slot and history and history.at_cap >= AT_CAP_MINUTES:
            await_it = "waits" if held.waiting == 1 else "wait"
            sentence = (
                f"{line.slug} has been at its cap on jobs in flight for {AT_CAP_MINUTES} min: "
                f"{counted(held.waiting, 'job')} {await_it} for its answer.{waits(line)}"
            )
            yield _about(line, "at_cap", WARNING, sentence, ("change_limits", "see_callbacks"))


def _about(
    line: VendorLine, rule: str, severity: Severity, sentence: str, acts: tuple[str, ...]
) -> Problem:
    return Problem(rule, severity, sentence, line.since, ("vendor", line.slug), acts)


RULES = [
    Rule(
        "vendor_paused",
        CRITICAL,
        vendor_paused,
        Alert(
            "enrichlabs_vendor_needs_resume == 1",
            "30s",
            "{{ $labels.vendor }} is paused until somebody resumes it.",
        ),
    ),
    Rule(
        "vendor_uncalled",
        CRITICAL,
        vendor_uncalled,
        Alert(
            'enrichlabs_vendor_held{kind="worker"} == 1 and on() enrichlabs_workers_taking > 0',
            "30s",
            "No live worker can call {{ $labels.vendor }}.",
        ),
    ),
    Rule(
        "breaker_open",
        CRITICAL,
        breaker_open,
        Alert("enrichlabs_breaker_open == 1", "1m", "{{ $labels.vendor }} seems to be down."),
    ),
    Rule(
        "key_paused",
        WARNING,
        key_paused,
        Alert(
            "enrichlabs_key_needs_resume == 1",
            "1m",
            "The key {{ $labels.key }} of {{ $labels.credential }} is paused.",
        ),
    ),
    Rule(
        "key_unused",
        WARNING,
        key_unused,
        Alert(
            "enrichlabs_key_unused == 1",
            "1m",
            "No worker can use the key {{ $labels.key }} of {{ $labels.credential }}.",
        ),
    ),
    Rule(
        "quota_spent",
        WARNING,
        quota_spent,
        Alert(
            "enrichlabs_vendor_quota_spent == 1",
            "1m",
            "{{ $labels.vendor }} has used up a quota, and jobs wait.",
        ),
    ),
    Rule(
        "oldest_waiting",
        WARNING,
        oldest_waiting,
        Alert(
            "enrichlabs_vendor_oldest_seconds > 600"
            " and deriv(enrichlabs_vendor_oldest_seconds[5m]) > 0"
            " and on(vendor) enrichlabs_vendor_still == 0",
            "5m",
            "The jobs of {{ $labels.vendor }} wait ever longer.",
        ),
    ),
    Rule(
        "backlog_long",
        WARNING,
        backlog_long,
        Alert(
            "enrichlabs_vendor_backlog_seconds > 3600",
            "5m",
            "{{ $labels.vendor }} needs over an hour for the jobs that wait.",
        ),
    ),
    Rule(
        "at_cap",
        WARNING,
        at_cap,
        Alert(
            "enrichlabs_vendor_without_slot == 1",
            "5m",
            "All slots of {{ $labels.vendor }} are taken by jobs that wait for their answer.",
        ),
    ),
]
