"""Which version of the service was started when, in the audit trail: charts mark it."""

import logging

import redis
from django.conf import settings

from audit.models import Entry
from audit.record import record
from jobs.queue.health.trail import SERVICE
from jobs.queue.keys import version_key
from jobs.queue.redis import commands
from jobs.storage.store import STORE_ERRORS, patience

log = logging.getLogger(__name__)

ACTION = "service.version"
TARGET = "service:EnrichLabs"
LOCK_SECONDS = 60  # within which the first worker of a version notes it
STORE_SECONDS = 2.0


def note_version() -> None:
    """Record the version of this process, if the last one that was started is another."""
    try:
        with patience(STORE_SECONDS):
            _note(settings.VERSION)
    except (redis.RedisError, *STORE_ERRORS) as error:
        log.info("the start of this version was not recorded (%s)", type(error).__name__)


def _note(version: str) -> None:
    newest = Entry.objects.filter(action=ACTION).order_by("-id").first()
    before = (newest.changes.get("version") or [None, None])[1] if newest else None
    # Workers start together: one of them records it.
    if before != version and commands().set(version_key(version), "1", nx=True, ex=LOCK_SECONDS):
        record(SERVICE, ACTION, TARGET, {"version": [before, version]})
