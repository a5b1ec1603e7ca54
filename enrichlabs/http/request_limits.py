"""How large a request's body may be, how long it may take, and who checks it, by route. The first
segment of the path names the route.
"""

from dataclasses import dataclass
from functools import cache

from django.conf import settings

HEAD_TIMEOUT_SECONDS = 5.0
MAX_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Limits:
    max_bytes: int
    body_timeout_seconds: float = 10.0  # from the end of the head to the end of the body
    # Whether a body that is too large still reaches the view, unread: first it finds out who sent
    # it, or it counts the refusal.
    view_refuses: bool = False
    # Whether the view asks for an API key. Then it is checked before a body is waited for.
    authenticates: bool = False
    # How long to wait for the store, from when the request arrived.
    patience_seconds: float | None = None


def limits_of(path: str) -> Limits:
    """Return the limits of the route of `path`, which begins with a slash."""
    routes = _routes()
    return routes.get(path[1:].partition("/")[0], routes[""])


@cache
def _routes() -> dict[str, Limits]:
    job_max_bytes, callback_max_bytes = settings.JOB_MAX_BYTES, settings.CALLBACK_MAX_BYTES
    # Clients get a response within 2 s. Vendors wait longer, and callbacks are worth more.
    api = Limits(job_max_bytes, view_refuses=True, authenticates=True, patience_seconds=1.7)
    of_api = ["jobs", "vendors"] if "metrics" in settings.SERVES else ["jobs", "vendors", "metrics"]
    return {
        **(dict.fromkeys(of_api, api) if "api" in settings.SERVES else {}),
        "vendor-webhook": Limits(callback_max_bytes, view_refuses=True, patience_seconds=5.0),
        "admin": Limits(settings.CONSOLE_MAX_BYTES),
        "mock-vendors": Limits(callback_max_bytes),
        # No other route takes a body. One that is sent is read, so that the connection can be kept.
        "": Limits(job_max_bytes),
    }
