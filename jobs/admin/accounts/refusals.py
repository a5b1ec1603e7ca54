"""The answer to users who lack a permission: which one, and the role that has it."""

import logging
import re
import time
from collections import Counter
from threading import Lock

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from audit.record import record
from jobs.admin.access import Forbidden
from jobs.admin.actor import actor
from jobs.api import problems
from jobs.storage.store import STORE_ERRORS
from users.roles import roles_with

log = logging.getLogger(__name__)

# Names of the pages that Django makes for a model, such as jobs_job_changelist
MODEL_PAGE = re.compile("([a-z]+)_([a-z]+)_(changelist|add|change|delete|history)")
MAX_RECORDED = 30  # entries of a user in a minute, by each process


class _Recorded:
    """Counts the entries of this minute: whoever tries everything can't fill the trail."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._minute = 0
        self._counts = Counter[str]()

    def has_room(self, name: str) -> bool:
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._counts = minute, Counter()
            self._counts[name] += 1
            return self._counts[name] <= MAX_RECORDED


_recorded = _Recorded()


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Django's handler403. A refused POST of the console goes to the audit trail."""
    if not request.path.startswith("/admin/") or not isinstance(exception, PermissionDenied):
        return problems.forbidden(request, exception)
    permission = _missing(request, exception)
    if request.method == "POST" and request.user.is_authenticated:
        _record(request, permission)
    context = {"permission": permission, "may": _in_words(permission)}
    return render(request, "403.html", {**context, "roles": roles_with(permission)}, status=403)


def _missing(request: HttpRequest, exception: Exception) -> str:
    """Return the permission that the user lacks; empty if the page needs no certain one."""
    if isinstance(exception, Forbidden):
        return exception.permission
    name = (request.resolver_match and request.resolver_match.url_name) or ""
    if not (page := MODEL_PAGE.fullmatch(name)):
        return ""
    app, model, what = page.groups()
    if what in ("changelist", "history") or (what == "change" and request.method != "POST"):
        what = "view"
    return f"{app}.{what}_{model}"


def _record(request: HttpRequest, permission: str) -> None:
    who = actor(request)
    if not _recorded.has_room(who.name):
        log.warning("A user's refused requests are too many for the audit trail.")
        return
    reason = f"It needs the permission {permission}." if permission else ""
    try:
        record(who, "access.refused", f"page:{request.path}"[:100], reason=reason)
    except STORE_ERRORS as error:  # the refusal stands
        log.error("A refused request could not be recorded: %s", type(error).__name__)


def _in_words(permission: str) -> str:
    """Return what the permission allows, such as 'retry jobs'."""
    app, _, codename = permission.partition(".")
    if app not in apps.app_configs:
        return ""
    for model in apps.get_app_config(app).get_models():
        options = model._meta
        if words := dict(options.permissions).get(codename):
            return str(words).removeprefix("Can ")
        for verb in options.default_permissions:
            if codename == f"{verb}_{options.model_name}":
                return f"{verb} {options.verbose_name_plural}"
    return ""
