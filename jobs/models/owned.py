"""What the API may ask the store for."""

from collections.abc import Collection
from typing import NoReturn, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


class Owned(models.Manager[Row]):
    """The rows of one client, for the API: nothing can be asked without naming the client."""

    def by(self, client: str, vendors: Collection[str] | None = None) -> "models.QuerySet[Row]":
        """Return the rows of the client, for one of these vendors (None: any)."""
        owned = super().get_queryset().filter(client=client)
        return owned if vendors is None else owned.filter(vendor__in=vendors)

    def get_queryset(self) -> NoReturn:
        raise TypeError("Name the client: owned.by(client)")
