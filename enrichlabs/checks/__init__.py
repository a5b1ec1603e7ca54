"""System checks: what would cost jobs, speed or secrets in production, each with a remedy.

Every manage.py command runs the checks that need nothing but the settings. `check --database
default`, and so `migrate`, also checks that the store can be used and has its indexes. `check
--deploy` runs everything. A check waits a few seconds at most for a server, and never raises.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register

from enrichlabs.checks import clients, exposure, indexes, mongodb, redis, secrets, store, vendors
from enrichlabs.standalone.startup import SETTINGS_TAG


def register_all() -> None:
    register(check_settings, SETTINGS_TAG)
    register(check_database, Tags.database)
    register(check_deployment, Tags.security, deploy=True)


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return mongodb.check_url(settings.DATABASE_URL) if settings.ON_MONGODB else []


def check_database(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    return store.run(indexes.check) if "default" in (databases or ()) else []


def check_deployment(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Leaves out what check_database reports, if that runs too."""
    first = [mongodb.check_server] if settings.ON_MONGODB else []
    of_store = store.run(*first, store.check_migrations)
    if not {issue.id for issue in of_store} & {store.UNUSABLE, store.UNAPPLIED}:
        of_store += store.run(
            indexes.check,
            secrets.check_admin,
            exposure.check_mock_vendors,
            vendors.check_rows,
            clients.check_keys,
        )
    if "default" in (databases or ()):
        reported = (store.UNUSABLE, indexes.MISSING)
        of_store = [issue for issue in of_store if issue.id not in reported]
    return [
        *of_store,
        *redis.check_server(),
        *secrets.check_settings(),
        *exposure.check_settings(),
        *clients.check_settings(),
    ]
