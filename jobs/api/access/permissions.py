"""What a request may do: its key's scope, and no other site's page behind it."""

from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from clients.directory import Caller
from jobs.api.access.authentication import authenticate
from jobs.api.problems import Problem
from vendors.catalogue import listed

if TYPE_CHECKING:  # when it is imported, it imports the classes here
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Allows what the key's scopes allow. A view names the scopes of its actions, or without
    actions those of its methods, as `scopes`: one of them is enough.

    What a view does not name is refused, so that a new view is closed until it says who may use it.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = str(request.method).lower().replace("head", "get")
        if method not in view.http_method_names or not hasattr(view, method):
            return True  # it is refused later, as a method that is not allowed
        scopes = getattr(view, "scopes", {}).get(getattr(view, "action", method))
        if scopes is None:
            return False
        require_scope(cast("Caller", request.user), *scopes)
        return True


class FromSameSite(BasePermission):
    """Refuses requests that a browser sends for a page of another site."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        refuse_cross_site(request._request)
        return True


def require_scope(caller: Caller, *scopes: str) -> None:
    """Raise Problem unless the key has one of the scopes."""
    if not caller.scopes.intersection(scopes):
        detail = f"This API key lacks the scope {' or '.join(scopes)}."
        raise Problem("missing_scope", 403, detail)


def still_admitted(request: HttpRequest, *scopes: str) -> Caller:
    """Return who sends a request that takes long, and what it may do by now. Raises Problem if its
    key was revoked meanwhile, or lacks the scopes; one of STORE_ERRORS if that can't be known.
    """
    caller = authenticate(request)
    require_scope(caller, *scopes)
    return caller


def require_vendor(caller: Caller, slug: str) -> None:
    """Raise Problem unless the key may be used for this vendor. It names no other vendors."""
    if not caller.may_use(slug):
        usable = listed(caller.vendors or ())
        detail = f"This API key can't be used for this vendor, only for: {usable}."
        raise Problem("vendor_not_allowed", 403, detail)


def refuse_cross_site(request: HttpRequest) -> None:
    """Raise Problem if a page of another site is behind the request.

    Without a key, such a page could use a service on the machine of whoever looks at it.
    """
    site, origin = request.META.get("HTTP_SEC_FETCH_SITE"), request.META.get("HTTP_ORIGIN")
    if site in ("same-origin", "none"):
        # The browser knows better than we do: a proxy may have changed the host. A page that binds
        # its own name to our address is refused by ALLOWED_HOSTS.
        return
    if site == "cross-site" or (origin is not None and origin not in _own_origins(request)):
        detail = "Pages of other sites must not call the API. Call it from a server."
        raise Problem("cross_site", 403, detail)


def _own_origins(request: HttpRequest) -> set[str]:
    host, public = request.get_host(), urlsplit(settings.PUBLIC_URL)
    return {f"http://{host}", f"https://{host}", f"{public.scheme}://{public.netloc}"}
