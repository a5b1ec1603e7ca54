"""The row of a peer's job. It has no index but its key, which saves the peers work that our rows
need.
"""

import uuid_utils
from django.db import models


def new_id() -> str:
    return str(uuid_utils.uuid7())


class Job(models.Model):
    id = models.CharField(primary_key=True, max_length=36, default=new_id)
    vendor = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    input = models.JSONField()
    status = models.CharField(max_length=10, default="queued")
    result = models.JSONField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects: models.Manager["Job"] = models.Manager()

    def __str__(self) -> str:
        return self.id
