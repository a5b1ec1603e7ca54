"""Whether this process is alive, and whether the service is ready: store, Redis and a worker, each
answering in two seconds.
"""

from functools import lru_cache
from typing import Any

import pymongo
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse

from enrichlabs.web.read_only import read_only
from jobs.queue.heartbeat import no_live_worker_message, read_heartbeats
from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal, require_usable
from jobs.storage.errors import fault
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor

OK = "ok"
STORE_SECONDS = 2.0
REDIS_SECONDS = 1.0  # to connect, and again for an answer


@read_only
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": OK})


@read_only
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
            has_tables = _mongodb_has_tables() if settings.ON_MONGODB else True
            Vendor.objects.values_list("pk", flat=True).first()
    except STORE_ERRORS as error:
        # No names of hosts: this is shown to whoever asks.
        return (
            fault(error)
            or f"The store does not answer ({type(error).__name__}). Start it, or look at its log."
        )
    return OK if has_tables else "The tables of the store are missing. Run manage.py migrate."


def _mongodb_has_tables() -> bool:
    """Ask the primary, which alone takes writes. (Of a table that is missing, a query finds no
    rows, and fails not.)
    """
    database = connection.get_database()  # type: ignore[attr-defined]  # MongoDB's alone
    return bool(database.list_collection_names(filter={"name": Vendor._meta.db_table}))


def redis_and_worker() -> dict[str, str]:
    try:
        workers = read_heartbeats(client())
        refused = _refused()
    except redis.RedisError as error:
        if refused := refusal(error):
            return {"redis": refused, "worker": "Unknown until Redis can be used."}
        missing = (
            f"Redis does not answer ({type(error).__name__}). Start it; jobs are kept meanwhile."
        )
        return {"redis": missing, "worker": "Unknown as long as Redis does not answer."}
    missing = no_live_worker_message(workers)
    if refused and missing:
        return {"redis": refused, "worker": "Unknown until Redis can be used."}
    return {"redis": refused or OK, "worker": missing or OK}


def _refused() -> str:
    """Return what Redis refuses to do, although it answers."""
    try:
        require_usable(client(), _vendors())
    except redis.ResponseError as error:
        return (
            refusal(error)
            or f"Redis refuses what workers ask for ({type(error).__name__}). Look at its log."
        )
    return ""


def _vendors() -> list[str]:
    try:
        return list(catalogue.all())
    except STORE_ERRORS:
        return []  # which is told as what it is


@lru_cache
def client() -> Any:
    return connect(REDIS_SECONDS)
