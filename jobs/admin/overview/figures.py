"""The six figures at the top."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.overview.links import jobs_url, url
from jobs.admin.page.texts import number, share, span
from jobs.monitoring.facts import Figures, ServiceSnapshot

NOTED_SHARE = 0.1  # of calls that ended in an error


@dataclass(frozen=True)
class Figure:
    label: str
    value: str | SafeString
    note: str = ""
    url: str = ""
    kind: str = ""  # bad or warning


def figures(now: ServiceSnapshot, request: HttpRequest) -> list[Figure]:
    found = now.figures
    is_high = (found.errors_hour_share or 0) > NOTED_SHARE
    return [
        Figure("Waiting", number(found.waiting), "jobs", jobs_url(request, status="queued")),
        Figure(
            "Oldest waiting",
            "none" if found.oldest_seconds == 0 else span(found.oldest_seconds),
            "since it was queued" if found.oldest_seconds else "",
            jobs_url(request, status="queued"),
        ),
        Figure(
            "In flight",
            number(found.in_flight),
            "called or awaited",
            jobs_url(request, status="processing"),
        ),
        Figure("Done per minute", _rate(found.done_per_minute), "over 5 minutes"),
        Figure(
            "Errors, last hour",
            number(found.errors_hour),
            f"{share(found.errors_hour_share)} of calls" if found.errors_hour_share else "",
            url("errors") if request.user.has_perm("jobs.view_job") else "",
            "warning" if is_high else "",
        ),
        _workers(found),
    ]


def _rate(per_minute: float | None) -> str | SafeString:
    if per_minute and per_minute < 10:
        return f"{per_minute:.1f}"
    return number(per_minute)


def _workers(found: Figures) -> Figure:
    alive, seen = found.workers_alive, found.workers_seen
    if alive is None:
        return Figure("Workers alive", number(None), url="#workers")
    value = f"{alive:,} of {seen:,}" if seen and seen != alive else f"{alive:,}"
    note = "seen within an hour" if seen and seen != alive else ""
    return Figure("Workers alive", value, note, "#workers", "" if alive else "bad")
