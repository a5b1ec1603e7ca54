"""Views that only show something: GET and HEAD alone, and no form that needs protection."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from jobs.api.problems import Problem

View = Callable[..., HttpResponseBase]


def read_only(view: View) -> View:
    """Answer any other method with a problem, before anything looks at the request's body."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return Problem(
                "method_not_allowed", 405, "Use GET here.", headers={"Allow": "GET, HEAD"}
            ).response()
        return view(request, *args, **kwargs)

    exempt: View = csrf_exempt(answer)  # nothing is changed, and the check would read the body
    return exempt
