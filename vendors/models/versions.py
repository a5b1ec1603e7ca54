"""Rows whose settings have a version, so that no worker acts on old ones."""

import time
from typing import Any

from django.db import models
from django.db.models import F


def first_version() -> int:
    """Return the version of a new row: more than that of a deleted one with the same slug."""
    return time.time_ns() // 1_000_000


class Versioned(models.Model):
    """A row whose version rises with each save, in the same write."""

    version = models.BigIntegerField(default=first_version, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        if self._state.adding or (fields is not None and not fields):  # new, or nothing to write
            super().save(*args, **kwargs)
            return
        self.version = F("version") + 1
        if fields is not None:
            kwargs["update_fields"] = {*fields, "version"}
        super().save(*args, **kwargs)
        self.refresh_from_db(fields=["version"])
