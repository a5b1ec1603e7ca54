"""Writes vendors that a file or the installation itself names: all of them, or none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from vendors.catalogue import catalogue
from vendors.definitions.toml import KINDS, Entry, Fault, FaultyVendorsError, Parsed
from vendors.models import Vendor

USER = "load_vendors"  # whose changes these are in the console's history; nobody can log in as it


class Change(NamedTuple):
    """A field whose value differs between row and file."""

    name: str
    old: Any
    new: Any


class Loaded(NamedTuple):
    """What was done, or with `dry_run` would be, with one vendor."""

    vendor: Vendor
    is_new: bool
    changes: list[Change]
    kept: dict[
        str, Any
    ]  # fields that the file does not name, and whose values are not the defaults


class _Plan(NamedTuple):
    entry: Entry
    loaded: Loaded
    is_left: bool  # it is there already, and only new ones are to be written


def load(
    parsed: Parsed, *, only_new: bool = False, dry_run: bool = False, source: str = ""
) -> list[Loaded]:
    """Create the vendors or, unless `only_new`, change the named fields of those that are there.

    `source` says in the history where changes come from. Raises FaultyVendorsError, with nothing
    written, where any of them does not validate.
    """
    try:
        plans = _load(parsed, only_new, dry_run, source)
    except IntegrityError:
        plans = _load(
            parsed, only_new, dry_run, source
        )  # another process has just created one of them: look again
    catalogue.forget()
    return [plan.loaded for plan in plans]


def _load(parsed: Parsed, only_new: bool, dry_run: bool, source: str) -> list[_Plan]:
    with transaction.atomic():
        stored = {
            vendor.slug: vendor
            for vendor in Vendor.objects.filter(slug__in=[entry.slug for entry in parsed.entries])
        }
        plans = [_plan(entry, stored.get(entry.slug), only_new) for entry in parsed.entries]
        if faults := [
            *parsed.faults,
            *(fault for plan in plans if not plan.is_left for fault in _faults(plan)),
        ]:
            raise FaultyVendorsError(faults)
        if not dry_run:
            _write(plans, source, logs_new=not only_new)
    return plans


def _write(plans: Sequence[_Plan], source: str, *, logs_new: bool) -> None:
    for entry, loaded, _ in plans:
        if loaded.is_new:
            loaded.vendor.save(force_insert=True)
            if logs_new:  # not those that an installation begins with
                _log(loaded, source)
        elif loaded.changes:
            # The named fields only: a pause that somebody sets at this moment stays.
            loaded.vendor.save(update_fields=list(entry.fields))
            _log(loaded, source)


def _plan(entry: Entry, stored: Vendor | None, only_new: bool) -> _Plan:
    vendor = stored or Vendor(slug=entry.slug)
    if stored and only_new:
        return _Plan(entry, Loaded(vendor, is_new=False, changes=[], kept={}), is_left=True)
    values = {name: getattr(vendor, name) for name in KINDS}
    changes = [
        Change(name, values[name], value)
        for name, value in entry.fields.items()
        if values[name] != value
    ]
    others = KINDS.keys() - entry.fields.keys() if stored else set()
    kept = {
        name: values[name] for name in KINDS if name in others and values[name] != _default(name)
    }
    for change in changes:
        setattr(vendor, change.name, change.new)
    return _Plan(entry, Loaded(vendor, stored is None, changes, kept), is_left=False)


def _default(name: str) -> Any:
    return Vendor._meta.get_field(name).get_default()  # type: ignore[union-attr]  # no field of these is a relation


def _faults(plan: _Plan) -> list[Fault]:
    entry = plan.entry
    try:
        plan.loaded.vendor.full_clean()
    except ValidationError as error:
        told = {
            name: sentences
            for name, sentences in error.message_dict.items()
            if name not in entry.faulty
        }
        return [
            entry.fault(name, sentence)
            for name, sentences in told.items()
            for sentence in sentences
        ]
    return []


def _log(loaded: Loaded, source: str) -> None:
    user, _ = get_user_model().objects.get_or_create(
        username=USER, defaults={"is_active": False, "password": "!"}
    )
    changes = "; ".join(
        f"{change.name}: {change.old!r} → {change.new!r}" for change in loaded.changes
    )
    LogEntry.objects.create(
        user_id=user.pk,
        content_type_id=ContentType.objects.get_for_model(Vendor).pk,
        object_id=loaded.vendor.pk,
        object_repr=str(loaded.vendor),
        action_flag=ADDITION if loaded.is_new else CHANGE,
        change_message=f"Added from {source}."
        if loaded.is_new
        else f"Changed {changes}, from {source}.",
    )
