"""Links and buttons of the front page: those alone that the reader may use."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True)
class Act:
    """A link, or a button that posts."""

    label: str
    url: str
    is_post: bool = False


def url(name: str, *args: str, **query: str) -> str:
    """Return the URL of a page of the console; '' if there is none for these arguments."""
    try:
        found = reverse(f"admin:{name}", args=args)
    except NoReverseMatch:  # a worker may call itself anything
        return ""
    return f"{found}?{urlencode(query)}" if query else found


def act(
    request: HttpRequest, label: str, target: str, *permissions: str, is_post: bool = False
) -> list[Act]:
    """Return the act, or nothing if it leads nowhere or the reader has none of the permissions."""
    may = any(request.user.has_perm(permission) for permission in permissions)
    return [Act(label, target, is_post)] if may and target else []


def jobs_url(request: HttpRequest, **filters: str) -> str:
    """Return the URL of a list of jobs; '' if the reader may not see jobs."""
    may = request.user.has_perm("jobs.view_job")
    return url("jobs_job_changelist", **filters) if may else ""
