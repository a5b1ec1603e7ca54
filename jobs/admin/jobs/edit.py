"""Edit and retry: a failed or cancelled job gets another input, and a new run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from audit.record import record
from clients.directory import Caller
from jobs import lifecycle, operator_actions
from jobs.admin import personal
from jobs.admin.access import require
from jobs.admin.actor import actor
from jobs.admin.formats import INDENTED
from jobs.admin.jobs.acts import ended_before, page_of
from jobs.api.input.bodies import JOB_JSON
from jobs.api.input.job import INPUT
from jobs.api.input.validation import validated
from jobs.api.problems import Problem
from jobs.console import console
from jobs.models import Job
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue
from vendors.payloads import exact
from vendors.payloads.json_reader import InvalidJSON

PERMISSION = "jobs.edit_job"
MAX_CHARACTERS = 200_000
MAX_FIELDS = 20  # named in the audit trail
MOVED_ON = "The job has moved on meanwhile, and was not changed."


@dataclass(frozen=True)
class Edited:
    """A new input. `name`: the job's own name, which is a field of the input."""

    name: str
    input: dict[str, Any]


def can_be_edited(request: HttpRequest, job: Job) -> bool:
    may = request.user.has_perm
    is_permitted = may(PERMISSION) and may("jobs.retry_job") and personal.may_see(request)
    sources = lifecycle.retry(job, redis_clock.now()).sources
    return is_permitted and job.status in sources and catalogue.get(job.vendor) is not None


def edit(request: HttpRequest, job: Job) -> HttpResponse:
    """POST: show the input, which the audit trail records; with `input`, check it and retry."""
    require(request, "jobs.view_job", PERMISSION, "jobs.retry_job", personal.PERMISSION)
    if request.method != "POST" or not can_be_edited(request, job):
        return HttpResponseRedirect(page_of(job.pk))
    if "input" not in request.POST:
        text = exact.write(job.input, INDENTED)
        return _form(request, job, text)
    text = request.POST["input"]
    try:
        edited = read(job, text)
    except (InvalidJSON, Problem) as error:
        return _form(request, job, text, _faults(error))
    changes = changed_fields(job.input, edited.input) | ended_before(job)
    reason = request.POST.get("reason", "").strip()

    def note(_: Sequence[Job]) -> None:
        record(actor(request), "job.edited", f"job:{job.pk}", changes, reason=reason)

    if not operator_actions.retry(job, redis_clock.now(), edited=asdict(edited), note=note):
        messages.warning(request, MOVED_ON)
        return HttpResponseRedirect(page_of(job.pk))
    messages.success(request, "The job is queued for a new run with the edited input.")
    return HttpResponseRedirect(page_of(job.pk))


def read(job: Job, text: str) -> Edited:
    """Return the input that a person typed, checked as if the job's client had posted it. Raises
    InvalidJSON or Problem.
    """
    value = JOB_JSON.read_object(text.encode("utf-8", "replace"))
    caller = Caller(client=job.client, scopes=frozenset())
    body = {**value, "vendor": job.vendor}
    body.pop("options", None)
    valid = validated(INPUT.of(caller), body, "pointer", "/")
    return Edited(valid["name"], valid["input"])


def changed_fields(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[Any]]:
    """Return which fields of the input were changed, for the audit trail: their names, not their
    values, which are personal data.
    """
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    words = {True: "changed", False: "removed"}
    said = {name: "added" if name not in old else words[name in new] for name in names}
    return {f"input.{name[:50]}": [None, said[name]] for name in names[:MAX_FIELDS]}


def _faults(error: Exception) -> list[str]:
    if not isinstance(error, Problem):
        return [str(error).replace("The body", "The input")]
    each = [f"{it.get('pointer', '').lstrip('/')}: {it['detail']}" for it in error.errors]
    return each or [error.detail]


def _form(
    request: HttpRequest, job: Job, text: str, faults: list[str] | None = None
) -> HttpResponse:
    if len(text) > MAX_CHARACTERS:
        messages.warning(request, "The input is too large to be edited here.")
        return HttpResponseRedirect(page_of(job.pk))
    context = {
        "title": "Edit and retry",
        "job": job,
        "text": text,
        "faults": faults or [],
        "reason": request.POST.get("reason", ""),
    }
    response = TemplateResponse(
        request, "console/jobs/edit.html", console.context(request, **context)
    )
    personal.note_seen(request, f"job:{job.pk}", "job.personal_data_seen", response)
    return response
