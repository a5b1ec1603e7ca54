"""The base class of commands that use the store."""

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from vendors.management.program import command


class StoreCommand(BaseCommand):
    """Refuses to run if a migration is missing: MongoDB reads a missing table as an empty one."""

    requires_migrations_checks = True

    def check_migrations(self) -> None:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            raise CommandError(
                f"The tables of the store are missing or old: {len(missing)} migrations are not "
                f"applied. Run {command('migrate')}, then try again."
            )
