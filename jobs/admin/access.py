"""What a user of the console may do. A refusal names the permission that is missing."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

View = TypeVar("View", bound=Callable[..., HttpResponse])


class Forbidden(PermissionDenied):
    """The signed-in user lacks this permission, such as jobs.retry_job. The page that answers it
    says which roles have it, and a refused POST goes to the audit trail.
    """

    def __init__(self, permission: str) -> None:
        super().__init__(f"This needs the permission {permission}.")
        self.permission = permission


def require(request: HttpRequest, *permissions: str) -> None:
    """Raise Forbidden for the first of these permissions that the user lacks."""
    for permission in permissions:
        if not request.user.has_perm(permission):
            raise Forbidden(permission)


def requires(*permissions: str) -> Callable[[View], View]:
    """Decorate a view, or a method that is one, so that only users with all these permissions
    reach it: @requires("jobs.run_bulkaction").
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> HttpResponse:
            require(next(each for each in args if isinstance(each, HttpRequest)), *permissions)
            return view(*args, **kwargs)

        return checked  # type: ignore[return-value]  # it takes what the view takes

    return decorate
