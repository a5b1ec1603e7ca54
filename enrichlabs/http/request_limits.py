"""How large a request's body may be and how long it may take, by route; the first part of the path
names the route.
"""

from dataclasses import dataclass
from functools import cache

from django.conf import settings

HEAD_SECONDS = 5.0
MAX_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Limits:
    max_bytes: int
    body_seconds: float = 10.0  # from the end of the head to the end of the body
    # Whether the view is asked all the same, without the body, to refuse one that is too large: it
    # keeps a note of that.
    view_refuses: bool = False
    # How long after a request came in the store is still waited for.
    patience_seconds: float | None = None


def limits_of(path: str) -> Limits:
    """Return the limits of the route that `path`, which begins with a slash, leads to."""
    routes = _routes()
    return routes.get(path[1:].partition("/")[0], routes[""])


@cache
def _routes() -> dict[str, Limits]:
    return {
        # Clients are answered within 2 s. Vendors wait longer, and what they tell us is worth more.
        "jobs": Limits(settings.JOB_MAX_BYTES, patience_seconds=1.7),
        "vendor-webhook": Limits(
            settings.CALLBACK_MAX_BYTES, view_refuses=True, patience_seconds=5.0
        ),
        "admin": Limits(settings.CONSOLE_MAX_BYTES),
        "mock-vendors": Limits(settings.CALLBACK_MAX_BYTES),
        # Nothing else takes a body; what is sent all the same is read, so that the connection can
        # be kept.
        "": Limits(settings.JOB_MAX_BYTES),
    }
