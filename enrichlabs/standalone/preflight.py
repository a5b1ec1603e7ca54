"""Whether the store and Redis can be used: what is asked, for how long, and a sentence per fault.

| question | asked by | how | timeout |
|---|---|---|---|
| Does the store answer? Did 0.1.0 write it? | script/server, prepare, checks | lists tables | 3 s |
| Did 0.1.0 write the store? | gunicorn, manage.py | lists tables | 1 s |
| Has the store our tables, and can they be read? | /readyz | lists tables, reads a row | 2 s |
| Is Redis up, recent, and a single primary? | script/server, checks | INFO | 3 s |
| Does Redis let workers work? | checks, /readyz | runs a script that writes nothing | 3 s, 1 s |

Redis timeouts are for connecting, and again for each answer. A program that starts stops at a
fault, the system checks list it, and /readyz shows it without host names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import pymongo
import redis
from django.conf import settings
from django.db import connection

from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal, require_usable
from jobs.storage.errors import explain, server_address
from jobs.storage.store import STORE_ERRORS

TIMEOUT_SECONDS = 3.0
OLD_STORE_TIMEOUT_SECONDS = 1.0  # a store that hangs must not delay gunicorn
READYZ_STORE_SECONDS = 2.0
READYZ_REDIS_SECONDS = 1.0
MIN_REDIS_MAJOR = 7
NEEDED_TABLE = "vendors_vendor"
TABLE_OF_0_1_0 = "jobs_delivery"
REDIS_ERRORS = (redis.RedisError, ValueError, OSError)  # ValueError: REDIS_URL can't be parsed


@dataclass(frozen=True)
class Fault:
    """The problem in one sentence, and the remedy. `where`, an address, is for operators only."""

    problem: str
    remedy: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.problem_with_address} {self.remedy}"

    @property
    def problem_with_address(self) -> str:
        if not self.where:
            return self.problem
        if self.problem.endswith(")."):
            return f"{self.problem[:-2]}, {self.where})."
        return f"{self.problem[:-1]} ({self.where})."

    @property
    def public(self) -> str:
        """The text without `where`, for anybody who may ask."""
        return f"{self.problem} {self.remedy}"


WRITTEN_BY_0_1_0 = Fault(
    "This store was written by EnrichLabs 0.1.0.",
    "Export it with that version (manage.py export FILE), start with an empty store, and import "
    "the file (manage.py import FILE).",
)
NO_TABLES = Fault("The tables of the store are missing or old.", "Run manage.py migrate.")
REDIS_URL_INVALID = Fault("REDIS_URL is not an address such as redis://host:6379/0.", "Correct it.")
JOBS_WAIT = "Until then, jobs are accepted and wait."  # without Redis
REDIS_CLUSTER = Fault(
    "REDIS_URL names a Redis Cluster, but EnrichLabs needs a single primary.",
    "Set REDIS_URL to a Redis with a single primary.",
)


def store_fault(timeout_seconds: float | None = None) -> Fault | None:
    """Return why the store can't be used. A store without tables can: `migrate` creates them."""
    try:
        with pymongo.timeout(timeout_seconds or TIMEOUT_SECONDS):
            return _age_fault(_tables())
    except STORE_ERRORS as error:
        return explain_store_error(error)


def old_store_fault() -> Fault | None:
    """Return a fault for a store that 0.1.0 wrote; None for any other, and without an answer."""
    path = Path(settings.DATABASES["default"]["NAME"])
    if not settings.ON_MONGODB and not path.exists():
        return None  # asking would create it
    found = store_fault(OLD_STORE_TIMEOUT_SECONDS)
    return found if found == WRITTEN_BY_0_1_0 else None


def tables_fault() -> Fault | None:
    """Return why requests can't be served from the tables. Raises one of STORE_ERRORS."""
    tables = _tables()
    return _age_fault(tables) or (None if NEEDED_TABLE in tables else NO_TABLES)


def _tables() -> list[str]:
    # On MongoDB the primary answers, which alone accepts writes.
    return connection.introspection.table_names()


def _age_fault(tables: list[str]) -> Fault | None:
    return WRITTEN_BY_0_1_0 if TABLE_OF_0_1_0 in tables else None


def known_store_fault(error: Exception) -> Fault | None:
    """Return what one of STORE_ERRORS means; None where it may well be a bug of ours."""
    problem, _, remedy = explain(error).partition(". ")
    return Fault(f"{problem}.", remedy, server_address(error)) if problem else None


def explain_store_error(error: Exception) -> Fault:
    """Return what one of STORE_ERRORS means for a question that any store can answer."""
    problem = f"The store does not answer ({type(error.__cause__ or error).__name__})."
    remedy = "Start it, or correct DATABASE_URL."
    return known_store_fault(error) or Fault(problem, remedy, server_address(error))


def redis_fault() -> Fault | None:
    """Return why the server of REDIS_URL can't be used."""
    try:
        return redis_server_fault(connect(TIMEOUT_SECONDS).info("server"))
    except REDIS_ERRORS as error:
        return explain_redis_error(error)


def redis_server_fault(info: dict[str, Any]) -> Fault | None:
    """Return what is wrong with a Redis whose INFO has these values."""
    version = str(info["redis_version"])
    if int(version.partition(".")[0]) < MIN_REDIS_MAJOR:
        return Fault(f"Redis {version} is too old.", f"Upgrade it to {MIN_REDIS_MAJOR}.0 or newer.")
    return REDIS_CLUSTER if info.get("redis_mode") == "cluster" else None


def redis_refusal(client: Any, key_types: Mapping[str, str] = MappingProxyType({})) -> Fault | None:
    """Return what Redis refuses although it answers. Raises redis.RedisError where it is away."""
    try:
        require_usable(client, key_types)
    except redis.ResponseError as error:
        return explain_refusal(error) or Fault(
            f"Redis refuses a command that workers need ({type(error).__name__}).", "See its log."
        )
    return None


def explain_refusal(error: BaseException) -> Fault | None:
    """Return what Redis refuses; None for a Redis that is away, and for any other error."""
    problem, _, remedy = refusal(error).partition(". ")
    return Fault(f"{problem}.", remedy) if problem else None


def explain_redis_error(error: Exception) -> Fault:
    """Return what one of REDIS_ERRORS means."""
    if isinstance(error, ValueError):
        return REDIS_URL_INVALID  # its text may quote the URL
    return explain_refusal(error) or Fault(
        f"Redis does not answer ({type(error).__name__}).",
        "Start it, or correct REDIS_URL.",
        _redis_address(),
    )


def _redis_address() -> str:
    parts = urlsplit(settings.REDIS_URL)
    return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
