"""The table at the end of a campaign, and the history of what broke a promise."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from chaos import arrivals, recovery
from chaos.checks import CHECKS, Finding, without_record
from chaos.history import History, tell
from chaos.vendors import VENDORS
from chaos.witness import Witness, worst_window
from jobs.models import Status
from vendors import limits
from vendors.models import Vendor

MAX_HISTORIES = 3
Row = tuple[str, str]
Check = Callable[[History], Iterator[Finding]]


def write(
    history: History, witness: Witness, *, left: Mapping[str, int], missing: Sequence[str], drained_seconds: float,
    checks: Mapping[str, Check] = CHECKS, rows_besides: Sequence[Row] = (),
) -> bool:  # fmt: skip
    """Print the table, and return whether every promise was kept."""
    findings = {name: list(check(history)) for name, check in checks.items()}
    windows = list(_windows(history, witness))
    broken = [name for name, worst, _, calls in windows if worst > calls]
    above = list(arrivals.above_limit(history))
    rows = [
        *_submitted(history),
        *_ended(history),
        *[(name, str(len(found))) for name, found in findings.items()],
        *[
            (f"most calls in {name}", f"{worst} at the limiter, {seen} at the vendor")
            for name, worst, seen, _ in windows
        ],
        ("windows broken at the limiter", str(len(broken))),
        ("windows broken at the vendor, undelayed", "; ".join(above) or "0"),
        ("limiter unseen for", f"{sum(until - since for since, until in witness.blind):.1f} s"),
        ("longest recovery after a kill", recovery.longest(recovery.after_kills(history))),
        ("longest recovery after a flush", recovery.longest(recovery.after_flushes(history))),
        ("drained in", f"{drained_seconds:.0f} s"),
        ("left in Redis", ", ".join(f"{count} {kind}" for kind, count in left.items())),
        *rows_besides,
        *_faults(history, missing),
    ]
    width = max(len(name) for name, _ in rows)
    sys.stdout.writelines(f"{name:{width}}  {value}\n" for name, value in rows)
    for name, found in findings.items():
        _tell(history, name, found)
    return not broken and not above and not any(findings.values())


def _submitted(history: History) -> Iterator[Row]:
    answers = Counter(posted.answer for posted in history.posted)
    slowest = max((posted.took_seconds for posted in history.posted), default=0.0)
    yield "submitted", str(len(history.posted))
    yield "accepted", str(sum(bool(posted.job_id) for posted in history.posted))
    yield (
        "other answers",
        ", ".join(f"{count} {answer}" for answer, count in answers.most_common() if answer != "202")
        or "none",
    )
    yield "slowest answer", f"{slowest:.1f} s"


def _ended(history: History) -> Iterator[Row]:
    jobs = [story.job for story in history.stories.values()]
    reasons = Counter(job.error_code for job in jobs if job.status == Status.FAILED)
    crashes = Counter(job.crashes for job in jobs)
    yield "complete", str(sum(job.status == Status.COMPLETE for job in jobs))
    yield "cancelled", str(sum(job.status == Status.CANCELLED for job in jobs))
    yield "failed", ", ".join(f"{count} {code}" for code, count in reasons.most_common()) or "0"
    yield (
        "taken over",
        ", ".join(
            f"{count} jobs {times} times" for times, count in sorted(crashes.items()) if times
        )
        or "0",
    )
    missing = sum(
        without_record(story, run)
        for story in history.stories.values()
        for run in range(1, story.job.run + 1)
    )
    yield "vendor calls without a record of their own", str(missing)
    yield "vendor calls", str(sum(len(story.arrivals) for story in history.stories.values()))


def _windows(history: History, witness: Witness) -> Iterator[tuple[str, int, int, int]]:
    """Yield each limit in words, the most calls in any such window at the limiter and at the
    vendor, and how many may be.

    At the limiter the window is longer by the vendor's margin.
    """
    for slug, settings in VENDORS.items():
        stories = [story for story in history.stories.values() if story.job.vendor == slug]
        arrived_us = sorted(int(each.at * 1e6) for story in stories for each in story.arrivals)
        text = settings.fields.get("rate_limits", "")
        for window, widened in zip(
            limits.parse(text), Vendor(rate_limits=text).windows, strict=True
        ):
            worst, _ = worst_window(witness.starts(slug), window.calls, widened.seconds)
            seen, _ = worst_window(arrived_us, window.calls, window.seconds)
            yield (
                f"{window.seconds:g} s of {slug} (limit {window.calls})",
                worst,
                seen,
                window.calls,
            )


def _faults(history: History, missing: Sequence[str]) -> Iterator[Row]:
    names = Counter(trouble.name for trouble in history.journal.troubles)
    yield (
        "faults",
        f"{sum(names.values())}: "
        + ", ".join(f"{count} {name}" for name, count in sorted(names.items())),
    )
    yield "faults not to be had here", ", ".join(missing) or "none"
    yield "faults that went wrong", "; ".join(history.journal.failures) or "none"
    yield "processes that died by themselves", str(history.journal.deaths)


def _tell(history: History, name: str, findings: Sequence[Finding]) -> None:
    for job_id, words in findings[:MAX_HISTORIES]:
        sys.stdout.write(f"\n{name}: job {job_id}: {words}\n")
        if job_id in history.stories:
            sys.stdout.writelines(
                f"{line}\n" for line in tell(history.stories[job_id], history.journal)
            )
