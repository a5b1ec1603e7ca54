"""Writes vendors that a file or the installation itself names: all of them, or none."""

from collections.abc import Sequence
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.toml import Entry, Fault, FaultyVendorsError


class Counts(NamedTuple):
    created: int
    changed: int
    unchanged: int


class _Plan(NamedTuple):
    """What the row of one entry is to be, and what must be written for that."""

    entry: Entry
    vendor: Vendor
    is_new: bool
    differs: bool


def load(entries: Sequence[Entry], *, only_new: bool) -> Counts:
    """Create the vendors or, unless `only_new`, change the named fields of those that are there.

    Raises FaultyVendorsError, with nothing written, where any of them does not validate.
    """
    try:
        counts = _load(entries, only_new)
    except IntegrityError:
        counts = _load(entries, only_new)  # another process has just created one of them: look again
    catalogue.forget()
    return counts


def _load(entries: Sequence[Entry], only_new: bool) -> Counts:
    with transaction.atomic():
        stored = {vendor.slug: vendor for vendor in Vendor.objects.filter(slug__in=[entry.slug for entry in entries])}
        plans = [_plan(entry, stored.get(entry.slug)) for entry in entries]
        if faults := [fault for plan in plans for fault in _faults(plan)]:
            raise FaultyVendorsError(faults)
        created = [plan for plan in plans if plan.is_new]
        changed = [plan for plan in plans if plan.differs and not plan.is_new and not only_new]
        for plan in created:
            plan.vendor.save(force_insert=True)
        for plan in changed:
            # The named fields only: a pause that somebody sets at this moment stays.
            plan.vendor.save(update_fields=list(plan.entry.fields))
    return Counts(len(created), len(changed), len(plans) - len(created) - len(changed))


def _plan(entry: Entry, stored: Vendor | None) -> _Plan:
    vendor = stored or Vendor(slug=entry.slug)
    differs = any(getattr(vendor, name) != value for name, value in entry.fields.items())
    for name, value in entry.fields.items():
        setattr(vendor, name, value)
    return _Plan(entry, vendor, is_new=stored is None, differs=differs)


def _faults(plan: _Plan) -> list[Fault]:
    try:
        plan.vendor.full_clean()
    except ValidationError as error:
        return [plan.entry.fault(name, sentence) for name, sentences in error.message_dict.items() for sentence in sentences]
    return []
