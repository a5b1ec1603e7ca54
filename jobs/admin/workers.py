"""Orders to workers: drain, resume and stop. A worker reads its order with its next heartbeat."""

import redis
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from audit.record import record
from jobs.admin.access import requires
from jobs.admin.actor import actor
from jobs.console import console
from jobs.queue.workers import Order, give_order

ACTIONS = {
    Order.DRAIN: "worker.drained",
    Order.RESUME: "worker.resumed",
    Order.STOP: "worker.stopped",
}
WORDS = {
    Order.DRAIN: "Worker {} takes nothing more. Its calls under way end as usual.",
    Order.RESUME: "Worker {} takes jobs again.",
    Order.STOP: "Worker {} ends once its calls have ended, or after its grace period.",
}
UNKNOWN = "There is no worker {} any more."
NO_REDIS = "Redis does not answer, so the worker can't be told. Try again when it is back."


@console.page("workers/<str:name>/drain/", "worker_drain")
@requires("jobs.manage_workers")
@require_POST
def worker_drain(request: HttpRequest, name: str) -> HttpResponse:
    return _give(request, name, Order.DRAIN)


@console.page("workers/<str:name>/resume/", "worker_resume")
@requires("jobs.manage_workers")
@require_POST
def worker_resume(request: HttpRequest, name: str) -> HttpResponse:
    return _give(request, name, Order.RESUME)


@console.page("workers/<str:name>/stop/", "worker_stop")
@requires("jobs.manage_workers")
@require_POST
def worker_stop(request: HttpRequest, name: str) -> HttpResponse:
    """Ask first: a worker that nothing restarts is gone."""
    if "sure" in request.POST:
        return _give(request, name, Order.STOP)
    context = console.context(request, title=f"Stop worker {name}?", worker=name)
    return TemplateResponse(request, "console/stop_worker.html", context)


def _give(request: HttpRequest, name: str, order: Order) -> HttpResponse:
    try:
        is_known = give_order(name, order)
    except redis.RedisError:
        messages.error(request, NO_REDIS)
    else:
        if is_known:
            record(actor(request), ACTIONS[order], f"worker:{name}"[:100])
            messages.success(request, WORDS[order].format(name))
        else:
            messages.warning(request, UNKNOWN.format(name))
    return HttpResponseRedirect(reverse("admin:index") + "#workers")
