"""What people have done: an entry for each act, which nothing changes afterwards.

Django's own LogEntry serves its own pages. It goes away with the user who wrote it, and can't be
searched by what was acted on.
"""

from typing import Any, NoReturn

import uuid_utils
from django.db import models
from django.utils import timezone


def new_id() -> str:
    """Return a new UUIDv7 as text: later ones sort after earlier ones."""
    return str(uuid_utils.uuid7())


class AppendOnlyError(Exception):
    """An entry was about to be changed or deleted, which would be a mistake in our code."""


class Entries(models.QuerySet["Entry"]):
    """Entries can be added and read."""

    def update(self, **values: Any) -> NoReturn:
        raise AppendOnlyError

    def delete(self) -> NoReturn:
        raise AppendOnlyError


class Entry(models.Model):
    """One act. Create entries with `audit.record.record`."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=150)  # a user's name, or `command line`
    action = models.CharField(max_length=50)  # such as api_key.revoked
    target = models.CharField(max_length=100)  # such as api_key:AbCd1234
    reason = models.CharField(max_length=500, blank=True, default="")
    # The changed fields, each with its old and new value: {"enabled": [true, false]}
    changes: "models.JSONField[dict[str, list[Any]], Any]" = models.JSONField(default=dict)
    bulk = models.CharField(max_length=36, blank=True, default="")  # the bulk action it belongs to
    address = models.CharField(max_length=45, blank=True, default="")  # empty for a command

    objects = Entries.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = "audit entry", "audit entries"
        default_permissions = ("view",)
        indexes = [
            # Newest first: ids are in the order of time.
            models.Index(fields=["target", "id"], name="audit_of_target"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["action", "id"], name="audit_action"),
            models.Index(fields=["actor", "action", "id"], name="audit_actor_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target} by {self.actor}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError
