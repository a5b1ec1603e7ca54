"""Whether the store can be used, and its migrations are applied."""

from collections.abc import Callable

import pymongo
from django.core.checks import CheckMessage, Error, Warning
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from enrichlabs.standalone import preflight
from enrichlabs.standalone.preflight import TIMEOUT_SECONDS, Fault
from jobs.storage.store import STORE_ERRORS

UNUSABLE = "enrichlabs.E001"
UNAPPLIED = "enrichlabs.W002"
MAX_NAMES = 3


def run(*checks: Callable[[], list[CheckMessage]]) -> list[CheckMessage]:
    """Run the checks in order, and stop with an error where the store can't be used."""
    if fault := preflight.store_fault():
        return [_unusable(fault)]
    issues: list[CheckMessage] = []
    try:
        for check in checks:
            with pymongo.timeout(TIMEOUT_SECONDS):
                issues += check()
    except STORE_ERRORS as error:
        issues.append(_unusable(preflight.explain_store_error(error)))
    return issues


def _unusable(fault: Fault) -> CheckMessage:
    return Error(fault.problem_with_address, hint=fault.remedy, id=UNUSABLE)


def check_migrations() -> list[CheckMessage]:
    names = unapplied_migrations()
    if not names:
        return []
    first = ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")
    message = f"{len(names)} migrations are not applied: {first}."
    return [Warning(message, hint="Run manage.py migrate.", id=UNAPPLIED)]


def unapplied_migrations() -> list[str]:
    """Raises one of STORE_ERRORS."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _ in plan]
