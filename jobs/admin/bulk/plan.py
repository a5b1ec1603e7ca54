"""The page that shows what a bulk action would do, and starts it."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from jobs.admin.access import require
from jobs.admin.actor import actor
from jobs.admin.bulk import estimate, words
from jobs.admin.bulk.estimate import Estimate
from jobs.admin.bulk.forms import StartForm, hopeless_in
from jobs.admin.lists.page import number
from jobs.advice import ADVICE, Advice
from jobs.bulk import actions, holds
from jobs.bulk.kinds import KINDS, Kind
from jobs.bulk.plan import MAX_COUNTED, Plan, make
from jobs.choice import Choice, ChoiceError
from jobs.console import console
from jobs.models import BulkAction, time_of
from jobs.queue.clock import redis_clock

MAX_CODES = 20
MAX_GROWTH, FREE_GROWTH = 1.2, 10  # from the page that was shown to its button
BY_NAME = (
    "A search by name can't be carried out later. Choose the jobs by a filter, or by reference."
)


@dataclass(frozen=True)
class OfVendor:
    """What the plan does to the jobs of one vendor. `count`: None if none of them were counted."""

    slug: str
    count: int | None
    estimate: Estimate
    held_by: str
    conflict: BulkAction | None


@console.page("bulk/plan/", "bulk_plan")
def plan_view(request: HttpRequest) -> HttpResponse:
    """GET: show the plan. POST: start what it shows, an action for each vendor."""
    kind = KINDS.get(request.GET.get("kind", ""))
    if kind is None:
        messages.warning(request, "Choose jobs in the list, and then what to do with them.")
        return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))
    require(request, "jobs.view_job", "jobs.run_bulkaction", f"jobs.{kind.name}_job")
    try:
        choice = Choice.from_query(request.GET)
        if choice.searches_names:
            raise ChoiceError([BY_NAME])
    except ChoiceError as error:
        return _answer(request, kind, problems=error.problems)
    plan = make(kind, choice, redis_clock.now())
    form = StartForm(plan, request.POST if request.method == "POST" else None)
    vendors = [_of_vendor(plan, slug) for slug in sorted(plan.by_vendor)]
    conflicts = [each.conflict for each in vendors if each.conflict]
    problems = _grown(request, plan)
    if form.is_valid() and plan.by_vendor and not conflicts and not problems:
        form.cleaned_data.pop("is_hopeless", None)
        return _start(request, plan, form.cleaned_data)
    shown = {"vendors": vendors, "conflicts": conflicts, "problems": problems}
    return _answer(request, kind, plan=plan, form=form, **shown)


def _grown(request: HttpRequest, plan: Plan) -> list[str]:
    """Return what to say if there are many more jobs by now than the page has shown."""
    shown = number(request.POST.get("shown", ""))
    if "shown" not in request.POST or plan.count <= shown * MAX_GROWTH + FREE_GROWTH:
        return []
    return [f"There are more jobs by now: {plan.count:,}, not {shown:,}. Look at the plan again."]


def _of_vendor(plan: Plan, slug: str) -> OfVendor:
    count, is_retry = plan.by_vendor[slug], plan.kind.name == "retry"
    return OfVendor(
        slug,
        count or None,
        estimate.of(slug, count, None) if is_retry else Estimate(),
        holds.of_vendor(slug) if is_retry else "",
        actions.unfinished_of(slug),
    )


def _start(request: HttpRequest, plan: Plan, given: dict[str, Any]) -> HttpResponse:
    started = [
        actions.start(
            actor(request),
            kind=plan.kind.name,
            vendor=vendor,
            choice=_stored(plan, vendor),
            planned=count,
            planned_is_bound=plan.is_bound,
            **given,
        )
        for vendor, count in sorted(plan.by_vendor.items())
    ]
    if len(started) == 1:
        return HttpResponseRedirect(reverse("admin:bulk_action", args=[started[0].pk]))
    messages.success(request, f"{len(started)} bulk actions have started, one for each vendor.")
    return HttpResponseRedirect(reverse("admin:bulk_actions"))


def _stored(plan: Plan, vendor: str) -> dict[str, Any]:
    """Return the choice of one vendor's jobs as an action keeps it. Where the statuses are clear,
    they are written down, so that it reads as what it does.
    """
    statuses = plan.kind.statuses(plan.choice)
    status = statuses[0].value if len(statuses) == 1 else plan.choice.status
    return replace(plan.choice, vendor=vendor, status=status).as_json()


def _answer(request: HttpRequest, kind: Kind, **context: Any) -> HttpResponse:
    plan: Plan | None = context.get("plan")
    context["title"] = f"{kind.name.capitalize()} jobs"
    if plan:
        context |= _shown(plan)
    context |= {"kind": kind, "verb": words.VERBS[kind.name], "back_url": _list_url(plan)}
    # The button's result is what the page says only while the page is not kept.
    answer = TemplateResponse(
        request, "console/bulk/plan.html", console.context(request, **context)
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _shown(plan: Plan) -> dict[str, Any]:
    statuses = plan.kind.statuses(plan.choice)
    status = statuses[0].value if len(statuses) == 1 else plan.choice.status
    codes = plan.by_code.most_common(MAX_CODES)
    hopeless_codes = hopeless_in(plan)
    count = f"{'more than ' if plan.is_bound else ''}{plan.count:,}"
    return {
        "title": f"{plan.kind.name.capitalize()} {count} {'job' if plan.count == 1 else 'jobs'}",
        "count": count,
        "in_words": replace(plan.choice, status=status).in_words(),
        "codes": [(code, number, ADVICE.get(code, NO_ADVICE)) for code, number in codes],
        "hopeless": sum(plan.by_code[code] for code in hopeless_codes),
        "hopeless_codes": hopeless_codes,
        "more_codes": len(plan.by_code) - len(codes),
        "first": [(job, time_of(job.pk)) for job in plan.first],
        "oldest": time_of(plan.oldest) if plan.oldest else None,
        "newest": time_of(plan.newest) if plan.newest else None,
        "left_out": words.reasons(plan.left_out),
        "limit": MAX_COUNTED,
        "moves_nothing": not statuses,
    }


NO_ADVICE = Advice("", "")


def _list_url(plan: Plan | None) -> str:
    query = plan.choice.as_query() if plan else ""
    return f"{reverse('admin:jobs_job_changelist')}?{query}"
