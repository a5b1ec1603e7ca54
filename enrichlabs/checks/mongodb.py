"""What MongoDB must do for us: keep what it has acknowledged, and show what was written."""

from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connection
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from enrichlabs.mongodb.url import parts

Document = dict[str, Any]


def said_by_url(url: str) -> list[CheckMessage]:
    """Return what no installation can live with, whatever the server is."""
    _, options = parts(url)
    found: list[CheckMessage] = []
    if options.get("w") == "0":
        found.append(
            Error(
                "DATABASE_URL says w=0: MongoDB would acknowledge no write, and accepted jobs could be lost unseen.",
                hint="Say w=majority for a replica set, journal=true for a single server.",
                id="enrichlabs.E011",
            )
        )
    if options.get("readpreference", "primary").lower() != "primary":
        found.append(
            Error(
                "DATABASE_URL says readPreference: another server than the primary shows rows as they were, "
                "and a job just posted could be unknown.",
                hint="Take readPreference out of DATABASE_URL.",
                id="enrichlabs.E012",
            )
        )
    if options.get("readconcernlevel", "local") not in ("local", "majority"):
        found.append(
            Error(
                "DATABASE_URL says a readConcernLevel other than local or majority, which not all of our reads can have.",
                hint="Take readConcernLevel out of DATABASE_URL.",
                id="enrichlabs.E013",
            )
        )
    return found


def of_server() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    connection.ensure_connection()
    client: MongoClient[Document] = connection.connection
    hello = client.admin.command("hello")
    if not is_cluster(hello):
        return [*_standalone(), *_without_journal(client)]
    return [*_without_majority(client, hello), *_without_retries(client)]


def is_cluster(hello: Document) -> bool:
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def _standalone() -> list[CheckMessage]:
    return [
        Warning(
            "MongoDB is a single server: when it is away everything waits, and what its disk loses is lost.",
            hint="Move to a replica set of three, and name it in DATABASE_URL (docs/operations.md).",
            id="enrichlabs.W014",
        )
    ]


def _without_journal(client: MongoClient[Document]) -> list[CheckMessage]:
    if client.write_concern.document.get("j"):
        return []
    return [
        Warning(
            "MongoDB acknowledges what is not on its disk yet: a power cut may take accepted jobs of the last 0.1 s.",
            hint="Add journal=true to DATABASE_URL.",
            id="enrichlabs.W015",
        )
    ]


def _without_majority(client: MongoClient[Document], hello: Document) -> list[CheckMessage]:
    concern = {**_default_concern(client), **client.write_concern.document}
    wanted = concern.get("w", 1)
    members = len(hello.get("hosts", ())) or 3
    # A majority answers for its disks unless it is told otherwise, a number of members only where
    # it is told so.
    is_safe = (
        concern.get("j") is not False
        if isinstance(wanted, str)
        else concern.get("j") and wanted > members / 2
    )
    if is_safe:
        return []
    return [
        Warning(
            "MongoDB may acknowledge what most of its members do not have on disk yet: a failover could undo accepted jobs.",
            hint="Say w=majority in DATABASE_URL, and nothing of journal.",
            id="enrichlabs.W015",
        )
    ]


def _default_concern(client: MongoClient[Document]) -> Document:
    """Return what the servers do where the URL says nothing; as little as possible where they may
    not tell.
    """
    try:
        answer = client.admin.command("getDefaultRWConcern")
    except OperationFailure:
        return {}
    return answer.get("defaultWriteConcern") or {}


def _without_retries(client: MongoClient[Document]) -> list[CheckMessage]:
    if client.options.retry_writes:
        return []
    return [
        Warning(
            "DATABASE_URL says retryWrites=false: a failover answers clients with errors that a second try would spare them.",
            hint="Take retryWrites=false out of DATABASE_URL.",
            id="enrichlabs.W016",
        )
    ]
