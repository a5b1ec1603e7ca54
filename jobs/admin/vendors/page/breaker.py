"""Close the open breaker of a vendor by hand, once the vendor is known to answer again."""

import redis
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from audit.record import record
from jobs.admin import states
from jobs.admin.access import requires
from jobs.admin.actor import actor
from jobs.admin.vendors.page.acting import ReasonForm, ask, back_url, page_of, vendor_of
from jobs.admin.vendors.page.content import forget
from jobs.console import console
from jobs.queue.clock import redis_clock
from jobs.queue.health import breaker
from jobs.queue.health.breaker import OpenBreaker
from jobs.queue.snapshot import take_snapshot
from vendors.loading.trail import target_of
from vendors.models import Vendor

NO_REDIS = "Redis does not answer, and the breaker is kept there. Start Redis, then close it again."
CLOSED = "The breaker of vendor {} is closed. Calls begin again with one at a time."
NOT_OPEN = "The breaker of vendor {} is not open."
LINES = (
    "Without you, one job after another probes the vendor, at most a minute apart, and the breaker "
    "closes once one succeeds.",
    "Closed by hand, calls begin again at once, one at a time and then more. If the vendor is "
    "still down, the breaker opens again after a few failures.",
)


@console.page("vendors/<str:slug>/close-breaker/", "vendor_close_breaker")
@requires("vendors.close_breaker")
def close_view(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: ask whether to. POST: close the breaker."""
    vendor = vendor_of(slug)
    back = back_url(request, page_of(vendor))
    found = take_snapshot([vendor])
    if request.method == "POST" and not found.redis_answers:
        messages.error(request, NO_REDIS)
        return HttpResponseRedirect(back)
    held = found.vendors.get(slug)
    opened = held.breaker if held else None
    if request.method == "POST":
        _close(request, vendor, opened)
        return HttpResponseRedirect(back)
    state = (
        f"It is {states.breaker(opened, redis_clock.now())}." if opened else NOT_OPEN.format(vendor)
    )
    return ask(
        request,
        title=f"Close the breaker of vendor {vendor}?",
        verb="Close the breaker",
        lines=[state, *LINES],
        form=ReasonForm(),
        back=back,
        vendor=vendor,
    )


def _close(request: HttpRequest, vendor: Vendor, opened: OpenBreaker | None) -> None:
    if not opened:
        messages.warning(request, NOT_OPEN.format(vendor))
        return
    # The entry comes first: without the store, nothing is done that nobody could find out about.
    change = {"breaker": [_words(opened), "closed"]}
    reason = request.POST.get("reason", "")[:200]
    record(actor(request), "vendor.breaker_closed", target_of(vendor), change, reason=reason)
    try:
        breaker.close(vendor.slug)
    except redis.RedisError:
        change = {"breaker": ["closed", "not closed: Redis did not answer"]}
        record(actor(request), "vendor.breaker_closed", target_of(vendor), change, reason=reason)
        messages.error(request, NO_REDIS)
        return
    forget()
    messages.success(request, CLOSED.format(vendor))


def _words(opened: OpenBreaker | None) -> str:
    if opened is None:
        return "open"
    since = f" since {opened.since.isoformat()}" if opened.since else ""
    return f"open{since}{f' ({opened.code})' if opened.code else ''}"
