"""System checks of our own: what would cost jobs, speed or secrets in production, each said once,
with what to do.

Any command of manage.py asks what the settings alone can tell, and no server. `check --database
default`, and so `migrate`, asks the store whether it can be used and has its indexes. `check
--deploy` asks everything. No check waits for a server for more than a few seconds, and none raises.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register

from enrichlabs.checks import exposure, indexes, mongodb, redis, secrets, store, vendors
from enrichlabs.standalone.preflight import OF_SETTINGS


def register_all() -> None:
    register(always, OF_SETTINGS)
    register(of_database, Tags.database)
    register(of_deployment, Tags.security, deploy=True)


def always(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return mongodb.said_by_url(settings.DATABASE_URL) if settings.ON_MONGODB else []


def of_database(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    return store.ask(indexes.missing) if "default" in (databases or ()) else []


def of_deployment(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """What `of_database` says is said here where the database is not named."""
    of_server = [mongodb.of_server] if settings.ON_MONGODB else []
    of_store = store.ask(*of_server, store.unapplied)
    if not {issue.id for issue in of_store} & {store.UNUSABLE, store.UNAPPLIED}:
        of_store += store.ask(
            indexes.missing, secrets.of_admin, exposure.pretend_vendors, vendors.of_rows
        )
    if "default" in (databases or ()):
        of_store = [
            issue for issue in of_store if issue.id not in (store.UNUSABLE, indexes.MISSING)
        ]
    return [*of_store, *redis.of_server(), *secrets.of_settings(), *exposure.of_settings()]
