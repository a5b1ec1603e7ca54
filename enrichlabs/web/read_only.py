"""Views that only show something: GET and HEAD, and no CSRF protection."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from jobs.api.problems import Problem

View = Callable[..., HttpResponseBase]


def read_only(view: View) -> View:
    """Refuse other methods with a problem, before the request's body is read."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            allow = {"Allow": "GET, HEAD"}
            return Problem("method_not_allowed", 405, "Use GET.", headers=allow).response()
        return view(request, *args, **kwargs)

    exempt: View = csrf_exempt(answer)  # the check would read the body
    return exempt
