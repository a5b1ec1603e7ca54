"""Who acts in the console, for the audit trail."""

from django.http import HttpRequest

from audit.record import Actor
from jobs.api.access.addresses import client_address


def actor(request: HttpRequest) -> Actor:
    """Return the signed-in user, at the address that the request came from."""
    return Actor(request.user.get_username(), client_address(request.META))
