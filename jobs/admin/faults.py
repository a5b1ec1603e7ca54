"""What the console shows when the store does not answer: what Redis still tells."""

import sys

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from jobs.api import problems
from jobs.monitoring import snapshot

RETRY_SECONDS = 5


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500. Whoever asks can't be known without the store, so that this page shows
    no names.
    """
    is_away = problems.is_store_failure(sys.exc_info()[1])
    if not (is_away and request.path.startswith("/admin/")):
        return problems.server_error(request)
    answer = render(request, "503.html", {"now": snapshot.current()}, status=503)
    answer.headers["Retry-After"] = str(RETRY_SECONDS)
    return answer
