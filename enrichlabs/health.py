"""Whether this process is alive, and whether the service is ready: store, Redis and a worker, each answering in two seconds."""

from functools import lru_cache
from typing import Any

import pymongo
import redis
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from pymongo.errors import PyMongoError

from jobs.beat import SILENT_SECONDS
from jobs.keys import BEATS
from jobs.redis import connect
from vendors.models import Vendor

OK = "ok"
STORE_SECONDS = 2.0
REDIS_SECONDS = 1.0  # to connect, and again for an answer


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": OK})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    answer = {"store": store(), **redis_and_worker()}
    if all(text == OK for text in answer.values()):
        return JsonResponse(answer)
    response = JsonResponse(answer, status=503)
    # Whoever asks is told; Django would log an error for each time that somebody asks.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def store() -> str:
    try:
        with pymongo.timeout(STORE_SECONDS):
            Vendor.objects.values_list("pk", flat=True).first()
    except (DatabaseError, PyMongoError) as error:
        reason = type(error).__name__
        return f"The store does not answer ({reason}). Start it, or run manage.py migrate where its tables are missing."
    return OK


def redis_and_worker() -> dict[str, str]:
    try:
        workers = workers_alive(client())
    except redis.RedisError as error:
        missing = f"Redis does not answer ({type(error).__name__}). Start it; jobs are kept meanwhile."
        return {"redis": missing, "worker": "Unknown as long as Redis does not answer."}
    return {"redis": OK, "worker": OK if workers else "No worker is alive. Start one: manage.py run_worker."}


@lru_cache
def client() -> Any:
    return connect(REDIS_SECONDS)


def workers_alive(client: Any) -> int:
    """Return how many workers have beaten of late, by the clock of Redis. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    return int(client.zcount(BEATS, (seconds - SILENT_SECONDS) * 1000 + microseconds / 1000, "+inf"))
