"""The page of one callback: what became of it, its body, and applying it again."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from audit.record import record
from jobs.admin import formats, personal
from jobs.admin.access import require
from jobs.admin.actor import actor
from jobs.admin.jobs.events import callback_badge
from jobs.callbacks import apply
from jobs.console import console
from jobs.models import Callback, Job, Verdict
from jobs.queue.clock import redis_clock
from jobs.transfer.replay import apply_again

APPLY = "jobs.apply_callback"
SEEN = "callback.body_seen"
MEANINGS = {
    "": "It is stored, but not applied yet: it is applied within seconds.",
    Verdict.APPLIED: "It ended its job, or queued it again.",
    Verdict.POLLED: "It has no result, or none that is believed: the vendor is polled.",
    Verdict.LATE: "Its job was final already, or in a later run. It changed nothing.",
    Verdict.UNMATCHED: "There is no such job, or none with its reference yet.",
    Verdict.REFUSED: "It was refused, and changed nothing. Check its proof of origin and secret.",
    Verdict.UNREADABLE: "It can't be read. Mend the vendor's adapter or definition, then apply it "
    "again.",
}
KINDS: dict[str, str] = {Verdict.APPLIED: "good", Verdict.REFUSED: "bad", Verdict.UNREADABLE: "bad"}


def show(request: HttpRequest, callback: Callback) -> HttpResponse:
    """Answer the page, without the body."""
    return _page(request, callback, is_shown=False)


def show_body(request: HttpRequest, callback: Callback) -> HttpResponse:
    """POST: answer the page with the body, which the audit trail records."""
    require(request, personal.PERMISSION)
    if request.method != "POST":
        return HttpResponseRedirect(_url(callback))
    response = _page(request, callback, is_shown=True)
    personal.note_seen(request, f"callback:{callback.pk}", SEEN, response)
    return response


def apply_callback(request: HttpRequest, callback: Callback) -> HttpResponse:
    """POST: apply it again."""
    require(request, APPLY)
    if request.method == "POST":
        before = callback.verdict
        if apply_again(callback, redis_clock.now()):
            change = {"verdict": [before, Verdict.APPLIED.value]}
            record(actor(request), "callback.applied", f"callback:{callback.pk}", change)
            messages.success(request, "The callback is applied.")
        else:
            messages.warning(request, "It changed nothing. See its verdict.")
    return HttpResponseRedirect(_url(callback))


def _page(request: HttpRequest, callback: Callback, *, is_shown: bool) -> HttpResponse:
    may = request.user.has_perm
    can_apply = may(APPLY) and apply.can_be_applied(callback, redis_clock.now())
    links_job = may("jobs.view_job") and bool(callback.job)
    context = {
        "title": "Callback",
        "callback": callback,
        "badge": callback_badge(callback),
        "kind": KINDS.get(callback.verdict, "info"),
        "meaning": MEANINGS.get(callback.verdict, ""),
        "can_apply": can_apply,
        "may_see": personal.may_see(request),
        "is_shown": is_shown,
        "body": formats.pretty(callback.body) if is_shown else "",
        "size": formats.counted(callback.body_bytes, "byte"),
        "links_job": links_job and Job.objects.filter(pk=callback.job).exists(),
    }
    return TemplateResponse(
        request, "console/callbacks/callback.html", console.context(request, **context)
    )


def _url(callback: Callback) -> str:
    return reverse("admin:jobs_callback_change", args=[callback.pk])
