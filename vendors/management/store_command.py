"""What commands that use the store's tables have in common."""

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


class StoreCommand(BaseCommand):
    """Is refused where a migration is missing: on MongoDB, a missing table would be taken for an
    empty one.
    """

    requires_migrations_checks = True

    def check_migrations(self) -> None:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            text = "The tables of the store are missing or old"
            raise CommandError(
                f"{text}: {len(missing)} migrations are not applied. Run manage.py migrate, then this again."
            )
