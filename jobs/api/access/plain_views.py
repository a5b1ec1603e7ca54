"""The checks of the API for views outside of REST framework, such as /metrics."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from jobs.api import problems
from jobs.api.access.authentication import authenticate
from jobs.api.access.permissions import refuse_cross_site, require_scope
from jobs.api.access.throttles import count_request

View = Callable[..., HttpResponseBase]


def requires_scope(*scopes: str) -> Callable[[View], View]:
    """Decorate a view: only for API keys with one of these scopes, within their client's request
    limits, and not for pages of other sites. Everything else is refused as the API does it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            headers: dict[str, str] = {}
            response: HttpResponseBase | None
            try:
                headers = admit(request, *scopes)
            except Exception as error:
                response = problems.handle(error, {})
                if response is None:
                    raise
            else:
                response = view(request, *args, **kwargs)
            for name, value in {**headers, "Cache-Control": "no-store"}.items():
                response[name] = value
            patch_vary_headers(response, ["Authorization"])
            return response

        return checked

    return decorate


def admit(request: HttpRequest, *scopes: str) -> dict[str, str]:
    """Check a request and return headers of its answer. Raises Problem, or one of STORE_ERRORS."""
    caller = authenticate(request)
    refuse_cross_site(request)
    require_scope(caller, *scopes)
    return count_request(caller)
