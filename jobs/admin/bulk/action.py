"""The page of one bulk action, and its buttons."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from audit.record import Actor
from jobs.admin.access import require, requires
from jobs.admin.actor import actor
from jobs.admin.bulk import estimate, words
from jobs.bulk import actions
from jobs.bulk.kinds import choice_of
from jobs.choice import ChoiceError
from jobs.console import console
from jobs.models import BulkAction, BulkState, Job, Status
from jobs.monitoring import snapshot
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

REFRESH_SECONDS = 2
MAX_OUTCOMES = 10_000
ACTS: dict[str, tuple[Callable[[Actor, BulkAction], bool], str]] = {
    "pause": (actions.pause, "The bulk action is paused."),
    "resume": (actions.resume, "The bulk action goes on."),
    "cancel": (actions.cancel, "The bulk action is cancelled. What it has done stays as it is."),
}


@console.page("bulk/<uuid:action_id>/", "bulk_action")
@requires("jobs.view_bulkaction")
def action_view(request: HttpRequest, action_id: UUID) -> HttpResponse:
    action = _find(action_id)
    context = {
        "title": words.title(action),
        "action": action,
        "acts": _acts(request, action),
        "refresh_seconds": None if action.finished_at else REFRESH_SECONDS,
        **_figures(action),
    }
    context["sentence"], context["tone"] = _verdict(action)
    if (vendor := catalogue.get(action.vendor)) and request.user.has_perm("vendors.view_vendor"):
        context["vendor_url"] = reverse("admin:vendors_vendor_change", args=[vendor.pk])
    if request.user.has_perm("jobs.view_job"):
        context["list_url"] = _list_url(action)
    return TemplateResponse(
        request, "console/bulk/action.html", console.context(request, **context)
    )


@console.page("bulk/<uuid:action_id>/<str:act>/", "bulk_act")
@require_POST
def act_view(request: HttpRequest, action_id: UUID, act: str) -> HttpResponse:
    action = _find(action_id)
    if act not in ACTS:
        raise Http404
    require(request, *_needed(action))
    do, sentence = ACTS[act]
    if do(actor(request), action):
        messages.success(request, sentence)
    else:
        now, _ = words.state(_find(action_id))
        messages.warning(request, f"Nothing was changed: the bulk action is {now}.")
    return HttpResponseRedirect(reverse("admin:bulk_action", args=[action.pk]))


def _find(action_id: UUID) -> BulkAction:
    action = BulkAction.objects.filter(pk=str(action_id)).first()
    if action is None:
        raise Http404("There is no such bulk action.")
    return action


def _needed(action: BulkAction) -> tuple[str, ...]:
    return "jobs.view_bulkaction", "jobs.run_bulkaction", f"jobs.{action.kind}_job"


def _acts(request: HttpRequest, action: BulkAction) -> list[str]:
    """Return the acts that are possible and permitted now."""
    possible = {
        BulkState.RUNNING: ["pause", "cancel"],
        BulkState.PAUSED: ["resume", "cancel"],
    }.get(BulkState(action.state), [])
    return possible if request.user.has_perms(_needed(action)) else []


def _figures(action: BulkAction) -> dict[str, Any]:
    skipped = sum(action.skipped.values())
    left = max(action.planned - action.done - skipped, 0)
    is_open = action.finished_at is None
    ended_at = action.finished_at or redis_clock.now()
    total = max(action.planned, action.done + skipped)
    return {
        "skipped": skipped,
        "reasons": words.reasons(action.skipped),
        "left": left,
        "moved": action.done + skipped,
        "total": total,
        **_outcomes(action),
        "percent": f"{100 * (action.done + skipped) // total if total else 100} %",
        "seconds_left": _seconds_left(action, left) if is_open else None,
        "seconds": max((ended_at - action.started_at).total_seconds(), 0.0),
        "done_word": words.done(action),
        "state": words.state(action),
    }


def _outcomes(action: BulkAction) -> dict[str, Any]:
    """Return the statuses that the jobs which it has moved have by now, with their numbers."""
    moved = Job.objects.filter(bulk=action.pk, bulk__gt="").order_by("pk")
    counts = Counter(moved.values_list("status", flat=True)[:MAX_OUTCOMES])
    outcomes = [(status, counts[status]) for status in Status.values if counts[status]]
    is_bound = counts.total() == MAX_OUTCOMES
    return {"outcomes": outcomes, "outcomes_are_bound": is_bound, "outcomes_bound": MAX_OUTCOMES}


def _seconds_left(action: BulkAction, left: int) -> float | None:
    """Return how long the rest takes: at its rate of late, but no faster than the limits allow as
    they are now.
    """
    if action.state != BulkState.RUNNING or action.held_by or not left:
        return None
    measured = 60 * left / action.per_minute if action.per_minute else 0.0
    if action.kind == "cancel":
        return measured or None
    by_limits = estimate.of(action.vendor, left, action.per_second, behind_others=False).seconds
    return max(measured, by_limits or 0.0) or None


def _verdict(action: BulkAction) -> tuple[str, str]:
    """Return what to know about it in a sentence, and the colour."""
    noun = "job" if action.done == 1 else "jobs"
    did = f"{action.done:,} {noun} {words.done(action)}"
    match action.state:
        case BulkState.DONE:
            return f"Done: {did}.", "good"
        case BulkState.CANCELLED if action.finished_at:
            return f"Cancelled: {did} before. What was done stays as it is.", "off"
        case BulkState.CANCELLED:
            return "Being cancelled: the step under way is counted.", "off"
        case BulkState.PAUSED:
            return "Paused. Resume it, or cancel what is left.", "warning"
    return _of_running(action)


def _of_running(action: BulkAction) -> tuple[str, str]:
    service = snapshot.current()
    if not service.redis_answers:
        return "Redis does not answer. The action goes on when it is back.", "bad"
    if not service.figures.workers_alive:
        return "No worker is running, and workers carry this out. Start one.", "bad"
    if action.held_by:
        return action.held_by, "warning"
    return f"Under way: {words.in_words(action)} are being {words.done(action)}.", "info"


def _list_url(action: BulkAction) -> str:
    """Return the list of the jobs that are left, or that it has chosen."""
    try:
        query = choice_of(action).as_query()
    except ChoiceError:  # stored by another release
        query = urlencode({"vendor": action.vendor})
    return f"{reverse('admin:jobs_job_changelist')}?{query}"
