"""Tags of the pages of jobs, batches and callbacks."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin.jobs.events import Event
from jobs.admin.lists.fields import Filters
from jobs.admin.page import texts
from jobs.models import Job

register = template.Library()


@register.simple_tag
def older_link(filters: Filters, before: str, start: int) -> str:
    """Return the query of the page after the position `before`, whose first row has this number."""
    return filters.query(before=before, start=start or None)


@register.simple_tag
def filter_link(filters: Filters, **changes: str) -> str:
    """Return the query of the list with more filters."""
    return filters.query(**changes)


@register.simple_tag
def job_act_url(job: Job, name: str) -> str:
    return reverse(f"admin:jobs_job_{name}", args=[job.pk])


@register.simple_tag(takes_context=True)
def event_link(context: dict[str, Any], event: Event) -> str | SafeString:
    """Return what happened, as a link if the user may see what it leads to."""
    pages = {
        "callback": ("admin:jobs_callback_change", "jobs.view_callback"),
        "bulk": ("admin:bulk_action", "jobs.view_bulkaction"),
    }
    if event.link is None:
        return event.what
    kind, row_id = event.link
    name, permission = pages[kind]
    if not context["request"].user.has_perm(permission):
        return event.what
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row_id]), event.what)


@register.simple_tag
def duration_bar(seconds: float, longest: float) -> SafeString:
    """Return how long it took, with a bar beside the longest."""
    words = f"{seconds:.2f} s" if seconds < 10 else texts.words_of(seconds)
    return texts.bar(seconds, longest, words, "info")
