"""Whether MongoDB keeps what it has acknowledged, and shows what was written."""

from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connection
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from enrichlabs.mongodb.url import parts

Document = dict[str, Any]
WEAK_WRITES = "enrichlabs.W015"

UNACKNOWLEDGED = Error(
    "DATABASE_URL sets w=0: MongoDB would acknowledge no write, and accepted jobs could be lost "
    "unnoticed.",
    hint="Set w=majority for a replica set, or journal=true for a single server.",
    id="enrichlabs.E011",
)
STALE_READS = Error(
    "DATABASE_URL sets a readPreference other than primary: secondaries return stale rows, and a "
    "job just posted could be unknown.",
    hint="Remove readPreference from DATABASE_URL.",
    id="enrichlabs.E012",
)
READ_CONCERN = Error(
    "DATABASE_URL sets a readConcernLevel other than local or majority, which some of our reads do "
    "not support.",
    hint="Remove readConcernLevel from DATABASE_URL.",
    id="enrichlabs.E013",
)


def check_url(url: str) -> list[CheckMessage]:
    """Return errors that are fatal for every installation, whatever the server is."""
    _, options = parts(url)
    faults = [
        (UNACKNOWLEDGED, options.get("w") == "0"),
        (STALE_READS, options.get("readpreference", "primary").lower() != "primary"),
        (READ_CONCERN, options.get("readconcernlevel", "local") not in ("local", "majority")),
    ]
    return [error for error, is_found in faults if is_found]


def check_server() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    connection.ensure_connection()
    client: MongoClient[Document] = connection.connection
    hello = client.admin.command("hello")
    if not is_cluster(hello):
        return [_single_server(), *_check_journal(client)]
    return [*_check_majority(client, hello), *_check_retries(client)]


def is_cluster(hello: Document) -> bool:
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def _single_server() -> CheckMessage:
    return Warning(
        "MongoDB is a single server: while it is down everything waits, and a lost disk loses "
        "everything.",
        hint="Move to a replica set of three, and name it in DATABASE_URL (docs/operations.md).",
        id="enrichlabs.W014",
    )


def _check_journal(client: MongoClient[Document]) -> list[CheckMessage]:
    if client.write_concern.document.get("j"):
        return []
    return [
        Warning(
            "MongoDB acknowledges writes before they are on disk: a power cut may lose the jobs "
            "accepted in the last 0.1 s.",
            hint="Add journal=true to DATABASE_URL.",
            id=WEAK_WRITES,
        )
    ]


def _check_majority(client: MongoClient[Document], hello: Document) -> list[CheckMessage]:
    concern = {**_default_concern(client), **client.write_concern.document}
    w = concern.get("w", 1)
    members = len(hello.get("hosts", ())) or 3
    # A majority journals its writes by default; a number of members does so only with j=true.
    if isinstance(w, str):
        is_safe = concern.get("j") is not False
    else:
        is_safe = bool(concern.get("j")) and w > members / 2
    if is_safe:
        return []
    return [
        Warning(
            "MongoDB may acknowledge writes that most of its members do not have on disk: a "
            "failover could lose accepted jobs.",
            hint="Set w=majority in DATABASE_URL, and remove journal.",
            id=WEAK_WRITES,
        )
    ]


def _default_concern(client: MongoClient[Document]) -> Document:
    """Return the servers' default write concern; empty, the weakest, where they don't tell it."""
    try:
        answer = client.admin.command("getDefaultRWConcern")
    except OperationFailure:
        return {}
    return answer.get("defaultWriteConcern") or {}


def _check_retries(client: MongoClient[Document]) -> list[CheckMessage]:
    if client.options.retry_writes:
        return []
    return [
        Warning(
            "DATABASE_URL sets retryWrites=false: during a failover clients get errors that a "
            "retry would avoid.",
            hint="Remove retryWrites=false from DATABASE_URL.",
            id="enrichlabs.W016",
        )
    ]
