"""/healthz: this process is alive. /readyz: the service is ready, which needs a store, Redis and a
worker. Each is asked within two seconds.
"""

from functools import lru_cache
from typing import Any

import pymongo
import redis
from django.http import HttpRequest, JsonResponse

from enrichlabs.standalone import preflight
from enrichlabs.standalone.preflight import READYZ_REDIS_SECONDS, READYZ_STORE_SECONDS
from enrichlabs.web.read_only import read_only
from jobs.queue.heartbeat import no_live_worker_message, read_heartbeats
from jobs.queue.redis import connect
from jobs.queue.vendor_keys import key_types
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor

OK = "ok"
UNKNOWN = "Unknown until Redis can be used."


@read_only
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": OK})


@read_only
def readyz(request: HttpRequest) -> JsonResponse:
    parts = {"store": store(), **redis_and_worker()}
    if all(text == OK for text in parts.values()):
        return JsonResponse(parts)
    response = JsonResponse(parts, status=503)
    # Django would log an error for each probe.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def store() -> str:
    try:
        with pymongo.timeout(READYZ_STORE_SECONDS):
            fault = preflight.tables_fault()
            if not fault:
                Vendor.objects.values_list("pk", flat=True).first()
    except STORE_ERRORS as error:
        fault = preflight.explain_store_error(error)
    return fault.public if fault else OK


def redis_and_worker() -> dict[str, str]:
    try:
        no_worker = no_live_worker_message(read_heartbeats(client()))
        refusal = preflight.redis_refusal(client(), _key_types())
    except redis.RedisError as error:
        fault = preflight.explain_redis_error(error)
        return {"redis": f"{fault.public} {preflight.JOBS_WAIT}", "worker": UNKNOWN}
    if refusal and no_worker:
        return {"redis": refusal.public, "worker": UNKNOWN}
    return {"redis": refusal.public if refusal else OK, "worker": no_worker or OK}


def _key_types() -> dict[str, str]:
    try:
        vendors = catalogue.all().values()
    except STORE_ERRORS:
        return {}  # store() reports that
    return {key: type_ for vendor in vendors for key, type_ in key_types(vendor).items()}


@lru_cache
def client() -> Any:
    return connect(READYZ_REDIS_SECONDS)
