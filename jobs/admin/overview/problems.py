"""The lines of "What is wrong", with what helps."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from jobs import lifecycle
from jobs.admin.overview.links import Act, act, jobs_url, url
from jobs.choice.parameters import time_text
from jobs.monitoring.facts import Problem, ServiceSnapshot
from jobs.monitoring.history import EVENTS, floor
from vendors.catalogue import catalogue

SEES_VENDORS = ("vendors.view_vendor", "vendors.change_vendor")


@dataclass(frozen=True)
class ProblemLine:
    """A problem. What it is about is a link within its sentence: before, name, after."""

    problem: Problem
    before: str
    name: str
    name_url: str
    after: str
    acts: list[Act]


def problem_lines(now: ServiceSnapshot, request: HttpRequest) -> list[ProblemLine]:
    return [_line(problem, now, request) for problem in now.problems]


def _line(problem: Problem, now: ServiceSnapshot, request: HttpRequest) -> ProblemLine:
    kind, name = problem.subject or ("", "")
    before, found, after = problem.sentence.partition(name) if name else (problem.sentence, "", "")
    acts = _acts(problem, now, request)
    return ProblemLine(problem, before, found, _subject_url(kind, name, now, request), after, acts)


def _acts(problem: Problem, now: ServiceSnapshot, request: HttpRequest) -> list[Act]:
    """Return what helps. A list that it leads to shows what the sentence is about."""
    own = OWN_ACTS.get(problem.rule, {})
    name = problem.subject[1] if problem.subject else ""
    acts = [
        own[key](request, name, now.taken_at) if key in own else ACTS[key](request, name)
        for key in problem.acts
        if key in ACTS
    ]
    return [each for found in acts for each in found]


def _subject_url(kind: str, name: str, now: ServiceSnapshot, request: HttpRequest) -> str:
    line = now.vendor(name) if kind == "vendor" else None
    if line and any(request.user.has_perm(permission) for permission in SEES_VENDORS):
        return url("vendors_vendor_change", line.vendor.pk)
    return ""


def _resume(request: HttpRequest, vendor: str) -> list[Act]:
    target = url("vendor_resume", vendor, next=url("index"))
    return act(request, "Resume", target, "vendors.pause_vendor")


def _close_breaker(request: HttpRequest, vendor: str) -> list[Act]:
    target = url("vendor_close_breaker", vendor, next=url("index"))
    return act(request, "Close breaker", target, "vendors.close_breaker")


def _see_errors(request: HttpRequest, vendor: str) -> list[Act]:
    filters = {"vendor": vendor} if vendor else {}
    return act(request, "See errors", url("errors", **filters), "jobs.view_job")


def _see_jobs(request: HttpRequest, vendor: str) -> list[Act]:
    filters = {"vendor": vendor} if vendor else {}
    return act(request, "See jobs", jobs_url(request, status="queued", **filters), "jobs.view_job")


def _see_overdue(request: HttpRequest, vendor: str, now: datetime) -> list[Act]:
    found = catalogue.get(vendor)
    expects_callback = found is None or found.expects_callback
    code = lifecycle.OVERDUE if expects_callback else lifecycle.GAVE_UP
    since = time_text(floor(now - EVENTS))
    of_vendor = {"vendor": vendor, "error_code": code, "status": "failed", "ended_after": since}
    return act(request, "See jobs", jobs_url(request, **of_vendor), "jobs.view_job")


def _see_callbacks(request: HttpRequest, vendor: str) -> list[Act]:
    return _callbacks(request, "See callbacks", "jobs.view_callback", vendor, "refused")


def _see_callbacks_of(request: HttpRequest, vendor: str, now: datetime) -> list[Act]:
    return _callbacks(request, "See callbacks", "jobs.view_callback", vendor, "")


def _apply_callbacks(request: HttpRequest, vendor: str) -> list[Act]:
    return _callbacks(request, "Apply callbacks", "jobs.apply_callback", vendor, "unreadable")


def _callbacks(
    request: HttpRequest, label: str, permission: str, vendor: str, verdict: str
) -> list[Act]:
    filters = {"vendor": vendor, "verdict": verdict}
    query = {name: value for name, value in filters.items() if value}
    return act(request, label, url("jobs_callback_changelist", **query), permission)


def _change_limits(request: HttpRequest, vendor: str) -> list[Act]:
    target = url("vendor_limits", vendor)
    return act(request, "Change limits", target, "vendors.change_vendor_limits")


def _see_workers(request: HttpRequest, name: str) -> list[Act]:
    return [Act("See workers", "#workers")]


def _see_bulk_action(request: HttpRequest, action_id: str) -> list[Act]:
    return act(request, "See progress", url("bulk_action", action_id), "jobs.view_bulkaction")


ACTS: dict[str, Callable[[HttpRequest, str], list[Act]]] = {
    "resume": _resume,
    "close_breaker": _close_breaker,
    "see_errors": _see_errors,
    "see_jobs": _see_jobs,
    "see_callbacks": _see_callbacks,
    "apply_callbacks": _apply_callbacks,
    "change_limits": _change_limits,
    "see_workers": _see_workers,
    "see_bulk_action": _see_bulk_action,
}
# Where the same act leads elsewhere, by rule.
OWN_ACTS: dict[str, dict[str, Callable[[HttpRequest, str, datetime], list[Act]]]] = {
    "callbacks_overdue": {"see_jobs": _see_overdue, "see_callbacks": _see_callbacks_of},
    "at_cap": {"see_callbacks": _see_callbacks_of},
}
