"""How large a request's body may be, how long it may take, and who checks it, by route. The first
segment of the path names the route. Uploads of batches have limits of their own.
"""

from dataclasses import dataclass, replace
from functools import cache

from django.conf import settings

HEAD_TIMEOUT_SECONDS = 5.0
MAX_HEAD_BYTES = 64 * 1024
UPLOAD_TYPES = ("application/x-ndjson", "application/jsonl")


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
    # Whether the view gets the request before its body, which it reads as it comes.
    is_upload: bool = False
    # Whether a streamed response may take minutes.
    streams_responses: bool = False


def limits_of(path: str, method: str = "", content_type: str = "") -> Limits:
    """Return the limits of a request to `path`, which begins with a slash."""
    routes = _routes()
    name = path[1:].partition("/")[0]
    if path == "/batches" and method == "POST" and _is_upload(content_type):
        name = "batches, uploaded"
    if name == "admin" and path.endswith("/try/"):
        name = "admin, calling a vendor"
    return routes.get(name, routes[""])


def _is_upload(content_type: str) -> bool:
    return content_type.partition(";")[0].strip(" \t").lower() in UPLOAD_TYPES


@cache
def _routes() -> dict[str, Limits]:
    job_max_bytes, callback_max_bytes = settings.JOB_MAX_BYTES, settings.CALLBACK_MAX_BYTES
    # Clients get a response within 2 s. Vendors wait longer, and callbacks are worth more.
    api = Limits(job_max_bytes, view_refuses=True, authenticates=True, patience_seconds=1.7)
    of_api = dict.fromkeys(("jobs", "vendors"), api)
    of_api["batches"] = replace(
        api,
        max_bytes=settings.BATCH_MAX_BYTES,
        body_timeout_seconds=30.0,
        streams_responses=True,
    )
    # Its view waits for the store once for each of its parts.
    of_api["batches, uploaded"] = replace(
        api, max_bytes=settings.BATCH_STREAM_MAX_BYTES, patience_seconds=None, is_upload=True
    )
    if "metrics" not in settings.SERVES:
        of_api["metrics"] = api
    return {
        **(of_api if "api" in settings.SERVES else {}),
        "vendor-webhook": Limits(callback_max_bytes, view_refuses=True, patience_seconds=5.0),
        "admin": Limits(settings.CONSOLE_MAX_BYTES, patience_seconds=5.0),
        # It writes before and after the call, which may take longer.
        "admin, calling a vendor": Limits(settings.CONSOLE_MAX_BYTES),
        "mock-vendors": Limits(callback_max_bytes),
        # No other route takes a body. One that is sent is read, so that the connection can be kept.
        "": Limits(job_max_bytes),
    }
