"""Jobs that a client posts together. Only jobs.batches changes a batch."""

from typing import Self

from django.db import models
from django.db.models import Q

from clients.models import DEFAULT
from jobs.fields import JSONTextField
from jobs.models.job import time_of
from jobs.models.owned import Owned
from vendors.models import new_id


class State(models.TextChoices):
    RECEIVING = "receiving"  # more items may come
    RUNNING = "running"  # sealed: all items have come
    FINISHED = "finished"  # all of its jobs are final


class Batch(models.Model):
    """Items that were posted together: each is a job, or a refused item. Create rows with
    `Batch.new`.
    """

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    client = models.CharField(max_length=50, default=DEFAULT)  # a slug, as in jobs
    reference = models.CharField(max_length=255, blank=True, default="")
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - as in jobs
    state = models.CharField(max_length=9, choices=State.choices, default=State.RECEIVING)
    revision = models.PositiveIntegerField(default=1)  # the fence of `finish`: rises when reopened
    # Whether it was sealed because nobody continued its upload.
    cut_short = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    received_at = models.DateTimeField()  # when items last came
    sealed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Requests that are being carried out, in steps (jobs.operator_actions).
    cancel_requested_at = models.DateTimeField(null=True)
    retry_requested_at = models.DateTimeField(null=True)

    objects = models.Manager["Batch"]()
    owned = Owned["Batch"]()

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["client", "id"], name="batch_client_newest"),
            models.Index(fields=["client", "state", "id"], name="batch_client_state"),
            models.Index(fields=["state", "id"], name="batch_state"),
            models.Index(
                fields=["client", "reference", "id"],
                name="batch_reference",
                condition=Q(reference__gt=""),
            ),
            models.Index(
                fields=["client", "idempotency_key"],
                name="batch_idempotency_key",
                condition=Q(idempotency_key__gt=""),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "idempotency_key"],
                name="batch_idempotency_key_unique",
                condition=Q(idempotency_key__gt=""),
            )
        ]

    def __str__(self) -> str:
        return self.id

    @classmethod
    def new(cls, client: str, reference: str = "", idempotency_key: str | None = None) -> Self:
        """Return an unsaved batch that was created when its id was made."""
        batch = cls(client=client, reference=reference, idempotency_key=idempotency_key)
        batch.created_at = batch.received_at = time_of(batch.id)
        return batch


class RefusedItem(models.Model):
    """An item of a batch that is no job, and why. Create rows with `RefusedItem.new`."""

    # The batch's id and the index, so that each item is refused once and an index gives the order.
    id = models.CharField(primary_key=True, max_length=50, db_column="_id", editable=False)
    batch = models.CharField(max_length=36)
    batch_index = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64, blank=True, default="")  # of the posted item
    # As in the answer to a single job: a problem's status, code, detail and errors.
    status = models.PositiveIntegerField()
    code = models.CharField(max_length=50)
    detail = models.CharField(max_length=500)
    errors = JSONTextField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"item {self.batch_index} of {self.batch}"

    @classmethod
    def new(cls, batch: str, batch_index: int, status: int, code: str, detail: str) -> Self:
        return cls(
            id=cls.id_of(batch, batch_index),
            batch=batch,
            batch_index=batch_index,
            status=status,
            code=code[:50],
            detail=detail[:500],
        )

    @staticmethod
    def id_of(batch: str, batch_index: int) -> str:
        return f"{batch}-{batch_index:05d}"

    @classmethod
    def of_batch(cls, batch_id: str) -> "models.QuerySet[RefusedItem]":
        """Return the refused items of a batch, for which the primary key is enough of an index."""
        return cls.objects.filter(pk__gt=f"{batch_id}-", pk__lt=f"{batch_id}.")
