"""Limits with a name, shared by the vendors that refer to them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models

from vendors import validators
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.limit import SharedLimit, parse_limit
from vendors.fields import JSONTextField
from vendors.limits import Window
from vendors.models.ids import new_id
from vendors.models.versions import Versioned


class Limit(Versioned):
    """How often, and how many at once, the vendors that name it may be called together."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    slug = models.CharField(max_length=50, unique=True, validators=[validators.validate_slug])
    # As in TOML: {"windows": "1000/min", "per": "credential"}
    definition = JSONTextField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)
        indexes = [models.Index(fields=["slug"], name="limit_slug")]

    _parsed: tuple[object, SharedLimit | None] = (None, None)  # a definition, and what it says

    def __str__(self) -> str:
        return self.slug

    @property
    def rules(self) -> SharedLimit:
        """What the definition says. Raises DefinitionFaults."""
        definition, rules = self._parsed
        if rules is None or definition is not self.definition:
            rules = parse_limit(self.definition)
            self._parsed = self.definition, rules
        return rules

    def clean(self) -> None:
        validators.validate_same_slug(self)

    def full_clean(self, exclude: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        excluded = set(exclude or ())
        super().full_clean({*excluded, "definition"}, *args, **kwargs)
        if "definition" in excluded:
            return
        try:
            parse_limit(self.definition)
        except DefinitionFaults as error:
            raise validators.at_keys(error.faults) from None


def counted_since(windows: Iterable[Window], limits: Iterable[Limit], now: datetime) -> datetime:
    """Return since when calls count in one of the windows or limits; `now` if there are none."""
    rules = [limit.rules for limit in limits]
    sliding = [*windows, *(window for each in rules for window in each.windows)]
    begins = [now - timedelta(seconds=window.seconds) for window in sliding]
    for quota in (each.quota for each in rules if each.quota):
        begins += [period.begin for period in quota.ranges(now) if period.end > now]
    return min(begins, default=now)
