"""The table at the end of a campaign, and the histories of jobs that violate a check."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos import arrivals, recovery, waits
from chaos.batches import rows as batch_rows
from chaos.checks import CHECKS, without_record
from chaos.history import Finding, History, describe
from chaos.limits import rows as limit_rows
from chaos.limits import witnessed
from chaos.limits.buckets import counted, units_us
from chaos.polls import rows as poll_rows
from chaos.submissions import CLIENTS
from chaos.witness import Witness, above, worst_window
from jobs.models import Status

MAX_HISTORIES = 3
Row = tuple[str, str]
Check = Callable[[History], Iterator[Finding]]


@dataclass(frozen=True)
class End:
    """How a campaign ended."""

    drained_seconds: float
    left: Mapping[str, int]  # in Redis, by kind
    unavailable: Sequence[str] = ()  # kinds of faults, and what each needs


def write(
    history: History,
    witness: Witness,
    end: End,
    *,
    checks: Mapping[str, Check] = CHECKS,
    more_rows: Sequence[Row] = (),
) -> bool:
    """Print the table, and return whether all checks passed."""
    findings = {name: list(check(history)) for name, check in checks.items()}
    windows = list(_windows(history, witness))
    broken = [window.broken for window in windows if window.broken]
    exceeded = list(arrivals.above_limit(history))
    quotas = list(witnessed.quotas(history, witness))
    overspent = [name for name, *counts, calls in quotas if max(counts) > calls]
    uncounted = list(witnessed.uncounted(history, witness))
    rows = [
        *_submitted(history),
        *batch_rows.rows(history.batches),
        *waits.rows(history.waits),
        *_ended(history),
        *[(name, str(len(found))) for name, found in findings.items()],
        *[
            (f"most in {it.name}", f"{it.at_limiter} at the limiter, {it.at_vendor} at the vendor")
            for it in windows
        ],
        ("windows broken at the limiter", "; ".join(broken) or "0"),
        ("windows broken at the vendor (without delayed calls)", "; ".join(exceeded) or "0"),
        *[
            (
                f"most in a period of {name} (quota {calls})",
                f"{most} at the limiter, {seen} at the vendor",
            )
            for name, most, seen, calls in quotas
        ],
        ("quotas exceeded", str(len(overspent))),
        ("calls of vendors that joined not counted", "; ".join(uncounted) or "0"),
        *_recovered(history, witness, end),
        *more_rows,
        *_faults(history, end.unavailable),
    ]
    _print(rows)
    _describe(history, findings)
    return not (broken or exceeded or overspent or uncounted or any(findings.values()))


def _print(rows: Sequence[Row]) -> None:
    width = max(len(name) for name, _ in rows)
    sys.stdout.writelines(f"{name:{width}}  {value}\n" for name, value in rows)


def _recovered(history: History, witness: Witness, end: End) -> Iterator[Row]:
    yield "limiter unobserved for", f"{sum(until - since for since, until in witness.blind):.1f} s"
    yield "longest recovery after a kill", recovery.longest(recovery.after_kills(history))
    yield "longest recovery after a flush", recovery.longest(recovery.after_flushes(history))
    yield "drained in", f"{end.drained_seconds:.0f} s"
    yield "left in Redis", ", ".join(f"{count} {kind}" for kind, count in end.left.items())


def _submitted(history: History) -> Iterator[Row]:
    answers = Counter(posted.answer for posted in history.posted)
    slowest = max((posted.took_seconds for posted in history.posted), default=0.0)
    requests = Counter(posted.serial for posted in history.posted)
    others = [each for each in answers.most_common() if each[0] not in ("200", "202")]
    probes = Counter(f"{each.kind} {each.answer}" for each in history.probed)
    yield "submitted", f"{len(requests)} by {len(CLIENTS)} clients, in {requests.total()} requests"
    yield "accepted", str(len({posted.serial for posted in history.posted if posted.job_id}))
    yield "sent more than once", str(sum(count > 1 for count in requests.values()))
    yield "answered as replays", str(sum(each.is_replay for each in history.posted))
    yield "other answers", ", ".join(f"{count} {answer}" for answer, count in others) or "none"
    yield "answers to probes", ", ".join(f"{probes[name]} {name}" for name in sorted(probes))
    yield "slowest answer", f"{slowest:.1f} s"


def _ended(history: History) -> Iterator[Row]:
    stories = history.stories.values()
    statuses = Counter(story.job.status for story in stories)
    failed = [story.job.error_code for story in stories if story.job.status == Status.FAILED]
    crashes = sorted(Counter(story.job.crashes for story in stories).items())
    taken_over = [f"{count} jobs {times} times" for times, count in crashes if times]
    runs = [(story, run) for story in stories for run in range(1, story.job.run + 1)]
    reasons = [f"{count} {code}" for code, count in Counter(failed).most_common()]
    yield "complete", str(statuses[Status.COMPLETE])
    yield "cancelled", str(statuses[Status.CANCELLED])
    yield "failed", ", ".join(reasons) or "0"
    yield "taken over", ", ".join(taken_over) or "0"
    yield "vendor calls without an attempt", str(sum(without_record(*each) for each in runs))
    yield "vendor calls", str(sum(len(story.arrivals) for story in stories))
    yield from poll_rows.rows(history)
    yield from limit_rows.rows(history)


@dataclass(frozen=True)
class _Seen:
    """The most calls in any window of one kind."""

    name: str
    at_limiter: int
    at_vendor: int
    broken: str  # how the first window at the limiter was, or ""


def _windows(history: History, witness: Witness) -> Iterator[_Seen]:
    """At the limiter, the windows are longer by the arrival margin."""
    for window in counted(history):
        starts, seconds = window.starts_us(witness), window.seconds + window.margin_seconds
        most, _ = worst_window(starts, sys.maxsize, seconds)
        seen, _ = worst_window(units_us(window.reached), sys.maxsize, window.seconds)
        found = above(starts, seconds, window.allowed)
        broken = f"{window.name}: {found[0]}, not {found[1]}, until {found[2]} us" if found else ""
        yield _Seen(window.name, most, seen, broken)


def _faults(history: History, unavailable: Sequence[str]) -> Iterator[Row]:
    names = Counter(trouble.name for trouble in history.journal.troubles)
    counted = ", ".join(f"{count} {name}" for name, count in sorted(names.items()))
    yield "faults", f"{names.total()}: {counted}"
    yield "faults unavailable here", ", ".join(unavailable) or "none"
    yield "faults that failed", "; ".join(history.journal.failures) or "none"
    yield "processes that died unexpectedly", str(history.journal.deaths)


def _describe(history: History, findings: Mapping[str, Sequence[Finding]]) -> None:
    """Print the histories of the first jobs that violate each check."""
    for name, found in findings.items():
        for job_id, words in found[:MAX_HISTORIES]:
            sys.stdout.write(f"\n{name}: job {job_id}: {words}\n")
            if story := history.stories.get(job_id):
                sys.stdout.writelines(f"{line}\n" for line in describe(story, history.journal))
