"""Which named limits count a vendor's calls, and for how many units."""

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.db import models

from vendors.models.limit import Limit
from vendors.models.versions import Versioned


class Limited(Versioned):
    """A vendor as its limits see it. Its definition names them."""

    definition: Any

    # Changes whenever the vendor joins or leaves a limit, which must then be counted again: when
    # that was, in milliseconds, and a random rest.
    membership = models.CharField(max_length=16, blank=True, default="", editable=False)

    class Meta:
        abstract = True

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """The named limits that count its calls. Raises ValueError if one does not exist."""
        known = self.named_limits
        if missing := [name for name in self.limit_names if name not in known]:
            raise ValueError(
                f"There is no limit {missing[0]!r}. Add it, or remove it from `limits`."
            )
        return tuple(known[name] for name in self.limit_names)

    @cached_property
    def named_limits(self) -> Mapping[str, Limit]:
        """Those of its limits that exist, by slug. The catalogue sets them from its own copies."""
        if not self.limit_names:
            return {}
        return {row.slug: row for row in Limit.objects.filter(slug__in=self.limit_names)}

    def name_limits(self, known: Mapping[str, Limit]) -> None:
        """Take its limits from all that exist, by slug."""
        self.named_limits = {name: known[name] for name in self.limit_names if name in known}
        self.__dict__.pop("limits", None)

    @property
    def limit_names(self) -> list[str]:
        return _names(self.definition)

    @property
    def limits_changed_at(self) -> datetime | None:
        """When the vendor last joined or left a limit, by the clock of whoever wrote its row."""
        if len(self.membership) != 16:
            return None
        return datetime.fromtimestamp(int(self.membership[:11], 16) / 1000, UTC)

    @property
    def weight(self) -> int:
        """How many units a call counts in each limit."""
        return int(self.definition.get("weight", 1))

    @property
    def poll_weight(self) -> int:
        """How many units a poll counts in each limit; 0: none, so that it needs no permit."""
        return int(self.definition.get("poll", {}).get("weight", 1))

    def save(self, *args: Any, **kwargs: Any) -> None:
        rows: Any = type(self)._default_manager  # of the vendor, which has the definition
        stored = rows.filter(pk=self.pk).values_list("definition", flat=True).first()
        if self.limit_names != _names(stored or {}):
            self.membership = f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(3)[:5]}"
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "membership"}
        super().save(*args, **kwargs)


def _names(definition: Mapping[str, Any]) -> list[str]:
    names = definition.get("limits", [])
    # Before it is validated, a definition may say anything.
    return [it for it in names if isinstance(it, str)] if isinstance(names, list) else []
