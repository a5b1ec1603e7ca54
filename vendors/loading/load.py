"""Create or update vendors from their definitions: all of them, or none."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from vendors.catalogue import catalogue
from vendors.loading.toml import (
    KINDS,
    DefinitionFault,
    FaultyVendorsError,
    Parsed,
    VendorDefinition,
)
from vendors.models import Vendor, required_input_of

USER = "load_vendors"  # the author of these changes in the console's history; it can't log in


class Change(NamedTuple):
    """A field whose value differs between the row and the file."""

    name: str
    old: Any
    new: Any


class Loaded(NamedTuple):
    """What was done with one vendor or, in a dry run, would be.

    `kept` has the fields that the file does not name and whose values are not the defaults.
    """

    vendor: Vendor
    is_new: bool
    changes: list[Change]
    kept: dict[str, Any]


class _Plan(NamedTuple):
    entry: VendorDefinition
    loaded: Loaded
    is_skipped: bool  # it exists, and only new vendors are to be written


def load(
    parsed: Parsed, *, only_new: bool = False, dry_run: bool = False, source: str = ""
) -> list[Loaded]:
    """Create the vendors or, unless `only_new`, change the named fields of those that exist.

    `source` is where the changes come from, for the history. Raises FaultyVendorsError, with
    nothing written, if a vendor is not valid.
    """
    try:
        plans = _load(parsed, only_new, dry_run, source)
    except IntegrityError:  # another process has just created one of them
        plans = _load(parsed, only_new, dry_run, source)
    catalogue.forget()
    return [plan.loaded for plan in plans]


def _load(parsed: Parsed, only_new: bool, dry_run: bool, source: str) -> list[_Plan]:
    slugs = [entry.slug for entry in parsed.entries]
    with transaction.atomic():
        stored = {vendor.slug: vendor for vendor in Vendor.objects.filter(slug__in=slugs)}
        plans = [_plan(entry, stored.get(entry.slug), only_new) for entry in parsed.entries]
        faults = [*parsed.faults, *(fault for plan in plans for fault in _faults(plan))]
        if faults:
            raise FaultyVendorsError(faults)
        if not dry_run:
            _write(plans, source, logs_new=not only_new)
    return plans


def _plan(entry: VendorDefinition, stored: Vendor | None, only_new: bool) -> _Plan:
    adapter = entry.fields.get("adapter", "")
    vendor = stored or Vendor(slug=entry.slug, required_input=required_input_of(adapter))
    if stored and only_new:
        return _Plan(entry, Loaded(vendor, is_new=False, changes=[], kept={}), is_skipped=True)
    changes, kept = [], {}
    for name in KINDS:
        value = getattr(vendor, name)
        if name in entry.fields:
            if value != entry.fields[name]:
                changes.append(Change(name, value, entry.fields[name]))
        elif stored and value != _default(name, adapter):
            kept[name] = value
    for change in changes:
        setattr(vendor, change.name, change.new)
    return _Plan(entry, Loaded(vendor, stored is None, changes, kept), is_skipped=False)


def _default(name: str, adapter: str) -> Any:
    if name == "required_input":
        return required_input_of(adapter)
    return Vendor._meta.get_field(name).get_default()  # type: ignore[union-attr]  # no relations


def _faults(plan: _Plan) -> Iterator[DefinitionFault]:
    entry = plan.entry
    for name, sentence in entry.faults.items():
        yield entry.fault(name, sentence)
    if plan.is_skipped:
        return
    try:
        plan.loaded.vendor.full_clean()
    except ValidationError as error:
        for name, sentences in error.message_dict.items():
            if name not in entry.faults:
                yield from (entry.fault(name, sentence) for sentence in sentences)


def _write(plans: Sequence[_Plan], source: str, *, logs_new: bool) -> None:
    for entry, loaded, _ in plans:
        if loaded.is_new:
            loaded.vendor.save(force_insert=True)
            if logs_new:  # not the vendors that an installation starts with
                _log(loaded, source)
        elif loaded.changes:
            # Only the named fields: a pause that is set at this moment stays.
            loaded.vendor.save(update_fields=list(entry.fields))
            _log(loaded, source)


def _log(loaded: Loaded, source: str) -> None:
    user, _ = get_user_model().objects.get_or_create(
        username=USER, defaults={"is_active": False, "password": "!"}
    )
    changes = "; ".join(f"{name}: {old!r} → {new!r}" for name, old, new in loaded.changes)
    message = f"Added from {source}." if loaded.is_new else f"Changed {changes}, from {source}."
    LogEntry.objects.create(
        user_id=user.pk,
        content_type_id=ContentType.objects.get_for_model(Vendor).pk,
        object_id=loaded.vendor.pk,
        object_repr=str(loaded.vendor),
        action_flag=ADDITION if loaded.is_new else CHANGE,
        change_message=message,
    )
