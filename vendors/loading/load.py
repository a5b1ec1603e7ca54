"""Create or update vendors, credentials and limits from their definitions: all of them, or none."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audit.record import command_line, record
from vendors.catalogue import catalogue
from vendors.loading.changes import Change, changes
from vendors.loading.keys import KINDS
from vendors.loading.toml import (
    DefinitionFault,
    FaultyVendorsError,
    Parsed,
    SharedDefinition,
    VendorDefinition,
)
from vendors.loading.trail import target_of, values_of
from vendors.models import Credential, Limit, Vendor, faults_of_users, required_input_of

S = TypeVar("S", Credential, Limit)


class Loaded(NamedTuple):
    """What was done with one vendor, credential or limit or, in a dry run, would be.

    `kept` has the columns that the file does not name and whose values are not the defaults.
    """

    row: Vendor | Credential | Limit
    is_new: bool
    changes: list[Change]
    kept: dict[str, Any]


class _Plan(NamedTuple):
    entry: VendorDefinition | SharedDefinition
    loaded: Loaded
    is_skipped: bool = False  # it exists, and only new rows are to be written


class _Known(NamedTuple):
    """What vendors may name, by slug: all that exist or are about to."""

    credentials: dict[str, Credential]
    limits: dict[str, Limit]


def load(
    parsed: Parsed, *, only_new: bool = False, dry_run: bool = False, source: str = ""
) -> list[Loaded]:
    """Create the limits, credentials and vendors or, unless `only_new`, change those that exist.

    Of a vendor's columns, only the named ones change; its definition becomes that of the file.
    `source` is where the changes come from, for the history. Raises FaultyVendorsError, with
    nothing written, if one of them is not valid.
    """
    try:
        plans = _load(parsed, only_new, dry_run, source)
    except IntegrityError:  # another process has just created one of them
        plans = _load(parsed, only_new, dry_run, source)
    catalogue.forget()
    return [plan.loaded for plan in plans]


def _load(parsed: Parsed, only_new: bool, dry_run: bool, source: str) -> list[_Plan]:
    slugs = [entry.slug for entry in parsed.vendors]
    with transaction.atomic():
        stored = {vendor.slug: vendor for vendor in Vendor.objects.filter(slug__in=slugs)}
        limits, of_limits = _shared_plans(Limit, parsed.limits, only_new)
        credentials, of_credentials = _shared_plans(Credential, parsed.credentials, only_new)
        known = _Known(credentials, limits)
        shared = [*of_limits, *of_credentials]
        vendors = [
            _vendor_plan(entry, stored.get(entry.slug), known, only_new) for entry in parsed.vendors
        ]
        plans = [*shared, *vendors]  # whoever reads while they are written finds what vendors name
        faults = [
            *parsed.faults,
            *(fault for plan in plans for fault in _faults(plan)),
            *(fault for plan in shared for fault in _faults_of_users(plan, slugs)),
        ]
        if faults:
            raise FaultyVendorsError(faults)
        if not dry_run:
            _write(plans, source, logs_new=not only_new)
    return plans


def _shared_plans(
    model: type[S], entries: Sequence[SharedDefinition], only_new: bool
) -> tuple[dict[str, S], list[_Plan]]:
    """Return all rows of the model by slug, as they will be, and what is to be done with them."""
    rows = {row.slug: row for row in model._default_manager.all()}
    plans = []
    for entry in entries:
        is_new = entry.slug not in rows
        row = rows.setdefault(entry.slug, model(slug=entry.slug))
        is_skipped = only_new and not is_new
        found = [] if is_skipped else _define(row, entry)
        plans.append(_Plan(entry, Loaded(row, is_new, found, kept={}), is_skipped))
    return rows, plans


def _vendor_plan(
    entry: VendorDefinition, stored: Vendor | None, known: _Known, only_new: bool
) -> _Plan:
    adapter = entry.fields.get("adapter", "")
    vendor = stored or Vendor(slug=entry.slug, required_input=required_input_of(adapter))
    if stored and only_new:
        return _Plan(entry, Loaded(stored, is_new=False, changes=[], kept={}), is_skipped=True)
    found, kept = [], {}
    for name in KINDS:
        value = getattr(vendor, name)
        if name in entry.fields:
            if value != entry.fields[name]:
                found.append(Change(name, value, entry.fields[name]))
        elif stored and value != _default(name, adapter):
            kept[name] = value
    for change in found:
        setattr(vendor, change.name, change.new)
    found += _define(vendor, entry)
    vendor.credential = known.credentials.get(str(vendor.definition.get("credential", "")))
    vendor.name_limits(known.limits)
    return _Plan(entry, Loaded(vendor, stored is None, found, kept))


def _default(name: str, adapter: str) -> Any:
    if name == "required_input":
        return required_input_of(adapter)
    return Vendor._meta.get_field(name).get_default()  # type: ignore[union-attr]  # no relations


def _define(
    row: Vendor | Credential | Limit, entry: VendorDefinition | SharedDefinition
) -> list[Change]:
    """Give the row the definition of the file, and return what that changes."""
    found = list(changes(row.definition, entry.definition))
    if found:
        row.definition = entry.definition
    return found


def _faults(plan: _Plan) -> Iterator[DefinitionFault]:
    entry = plan.entry
    for name, sentence in entry.faults.items():
        yield entry.fault(name, sentence)
    if plan.is_skipped:
        return
    try:
        plan.loaded.row.full_clean()
    except ValidationError as error:
        for name, errors in sorted(error.error_dict.items(), key=_place):
            for each in errors:
                # Of a definition, the faulty key (vendors.validators.at_keys).
                key = each.code or "" if name == "definition" else name
                key = "" if key == "slug" else key  # which is the table's own name
                if key not in entry.faults:
                    message = " ".join(each.messages).removeprefix(f"{key}: ")
                    yield entry.fault(key, message)


def _place(item: tuple[str, object]) -> int:
    """Return where a column stands in a table; first its name."""
    names = ["slug", *KINDS]
    return names.index(item[0]) if item[0] in names else len(names)


def _faults_of_users(plan: _Plan, loaded: Sequence[str]) -> Iterator[DefinitionFault]:
    """Yield what becomes wrong with vendors that are not in the file."""
    row, is_new, found, _ = plan.loaded
    if not isinstance(row, Vendor) and found and not is_new and not plan.entry.faults:
        for slug, sentence in faults_of_users(row, except_for=loaded):
            yield plan.entry.fault("", f"Vendor {slug} could not use it. {sentence}")


def _write(plans: Sequence[_Plan], source: str, *, logs_new: bool) -> None:
    for entry, loaded, _ in plans:
        if loaded.is_new:
            loaded.row.save(force_insert=True)
            if logs_new:  # not the vendors that an installation starts with
                _log(loaded, source)
        elif loaded.changes:
            # Only the named columns: a pause that is set at this moment stays.
            loaded.row.save(update_fields=entry.columns)
            _log(loaded, source)


def _log(loaded: Loaded, source: str) -> None:
    row = loaded.row
    action = f"{row._meta.model_name}.{'added' if loaded.is_new else 'changed'}"
    changed = {} if loaded.is_new else values_of(loaded.changes)
    record(command_line(), action, target_of(row), changed, reason=f"From {source}.")
