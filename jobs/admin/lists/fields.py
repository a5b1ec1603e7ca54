"""The filters above a list. They stand in its URL, which can be kept and passed on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, QueryDict

from clients.models import Client
from vendors.catalogue import catalogue

Options = Sequence[tuple[str, str]]
CREATED = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
CREATED_OPTIONS = [(name, f"last {name}") for name in CREATED]


@dataclass(frozen=True)
class Field:
    """A filter. `type`: of its input, or `select`. `options`: of a select, or suggestions for a
    text. `is_more`: it is folded away while it is not used.
    """

    name: str
    label: str
    type: str = "select"
    options: Options = ()
    is_more: bool = False
    value: str = ""
    hint: str = ""

    @property
    def shown(self) -> str:
        """The value as its chip shows it."""
        return dict(self.options).get(self.value, self.value.replace("T", " "))

    @property
    def has_other_value(self) -> bool:
        return bool(self.value) and self.value not in dict(self.options)


@dataclass(frozen=True)
class Chip:
    label: str
    value: str
    query: str  # of the list without it


class Filters:
    """The filters of a list, with the values that the URL gives them."""

    def __init__(self, query: QueryDict, fields: Iterable[Field]) -> None:
        self._query = query
        self.fields = [_with_value(field, query) for field in fields]

    def named(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def first(self) -> list[Field]:
        return [field for field in self.fields if not field.is_more]

    @property
    def more(self) -> list[Field]:
        return [field for field in self.fields if field.is_more]

    @property
    def uses_more(self) -> bool:
        return any(field.value for field in self.more)

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(field.label, "" if field.type == "checkbox" else field.shown, self.without(field))
            for field in self.fields
            if field.value
        ]

    def without(self, field: Field) -> str:
        return self.query(**{field.name: None})

    def query(self, **changes: Any) -> str:
        """Return the query of the list's first page with changed filters; None removes one."""
        names = [field.name for field in self.fields]
        values = {name: self._query.get(name) for name in names} | changes
        query = QueryDict(mutable=True)
        query.update({name: str(value) for name, value in values.items() if value})
        return f"?{query.urlencode()}"


def _with_value(field: Field, query: QueryDict) -> Field:
    value = str(query.get(field.name) or "").strip()
    return Field(**{**field.__dict__, "value": value})


def vendor_field() -> Field:
    return Field("vendor", "Vendor", options=[(slug, slug) for slug in sorted(catalogue.all())])


def client_field() -> Field:
    slugs = Client.objects.order_by("slug").values_list("slug", flat=True)
    return Field("client", "Client", options=[(slug, slug) for slug in slugs])


def unknown_filters(request: HttpRequest, known: Iterable[str]) -> list[str]:
    """Return a sentence for each parameter of the URL that is no filter of the list."""
    unknown = sorted(set(request.GET) - set(known))
    return [f"This list has no filter {name[:50]!r}." for name in unknown]
