"""The list of batches."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from jobs.admin import formats
from jobs.admin.lists import simple
from jobs.admin.lists.fields import CREATED_OPTIONS, Field, Filters, client_field
from jobs.choice import search_batches
from jobs.console import console
from jobs.models import Batch, State

ALIAS = "state__exact"  # in links kept from earlier releases
BADGE_KINDS = {State.RECEIVING: "waiting", State.RUNNING: "processing", State.FINISHED: "off"}
STATES = [(state.value, state.value) for state in State]


def filters_of(request: HttpRequest) -> Filters:
    return Filters(
        request.GET,
        [
            Field("q", "Search", "search", hint="Id or reference"),
            Field("state", "State", options=STATES),
            client_field(),
            Field("created", "Created", options=CREATED_OPTIONS),
        ],
    )


def badge(batch: Batch) -> str:
    return formats.badge(batch.state, BADGE_KINDS[State(batch.state)])


def changelist(request: HttpRequest) -> HttpResponse:
    if ALIAS in request.GET:
        params = request.GET.copy()
        params["state"] = params.pop(ALIAS)[-1]
        return HttpResponseRedirect(f"{request.path}?{params.urlencode()}")
    rows = simple.created_since(Batch.objects.all(), request.GET.get("created", ""))
    given = {name: request.GET.get(name, "") for name in ("state", "client")}
    rows = rows.filter(**{name: value for name, value in given.items() if value})
    if term := request.GET.get("q", "").strip():
        rows = search_batches(rows, term)
    context = simple.context_of(request, rows, filters_of(request))
    context["rows"] = [(batch, badge(batch)) for batch in context["page"].rows]
    context["title"] = "Batches"
    return TemplateResponse(
        request, "console/batches/list.html", console.context(request, **context)
    )
