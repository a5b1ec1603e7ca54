"""Whether the store can be used, and is up to date."""

from collections.abc import Callable

import pymongo
from django.core.checks import CheckMessage, Error, Warning
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from enrichlabs.standalone.preflight import ANSWER_SECONDS, no_store
from jobs.storage.store import STORE_ERRORS

UNUSABLE = "enrichlabs.E001"
UNAPPLIED = "enrichlabs.W002"
MAX_NAMED = 3


def ask(*questions: Callable[[], list[CheckMessage]]) -> list[CheckMessage]:
    """Return what is found until all are answered, or the store fails; that is then found, too."""
    found: list[CheckMessage] = []
    try:
        for question in questions:
            with pymongo.timeout(ANSWER_SECONDS):
                found += question()
    except STORE_ERRORS as error:
        message, _, hint = no_store(error).partition(". ")
        found.append(Error(f"{message}.", hint=hint, id=UNUSABLE))
    return found


def unapplied() -> list[CheckMessage]:
    names = pending()
    if not names:
        return []
    some = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
    return [
        Warning(
            f"{len(names)} migrations are not applied: {some}.",
            hint="Run manage.py migrate.",
            id=UNAPPLIED,
        ),
    ]


def pending() -> list[str]:
    """Return the names of the migrations that the store has not seen. Raises one of STORE_ERRORS."""
    executor = MigrationExecutor(connection)
    return [
        str(migration)
        for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
    ]
