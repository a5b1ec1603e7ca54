"""Create or update vendors from a TOML file: manage.py load_vendors vendors.toml"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vendors.catalogue import listed
from vendors.loading import toml
from vendors.loading.load import Loaded, load
from vendors.management.callbacks import callback_notes
from vendors.management.store_command import StoreCommand
from vendors.models import Credential, Limit, Vendor, uses

TO_CHANGE = "To change a setting, name it in the file."
TO_DELETE = "Delete it in the console if it is not needed."
WORKERS = "This is the environment of this command; that of the workers counts."
CALLBACKS = "This is the environment of this command; that of the callback server counts."


class Command(StoreCommand):
    help = (
        "Create or update the vendors, credentials and limits of a TOML file, all or none. Each is "
        "a table [vendors.SLUG], [credentials.SLUG] or [limits.SLUG]."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("file", nargs="?", help="the TOML file")
        source.add_argument(
            "--mocks", metavar="URL", help="instead of a file: the two mock vendors served at URL"
        )
        parser.add_argument("--only-new", action="store_true", help="skip vendors that exist")
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would change, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file, mocks, dry_run = options["file"], options["mocks"], options["dry_run"]
        source = file or mocks
        try:
            parsed = toml.built_in(mocks) if mocks else toml.parse(_read(file))
            loaded = load(parsed, only_new=options["only_new"], dry_run=dry_run, source=source)
        except toml.FaultyVendorsError as error:
            raise CommandError("\n".join(f"{source}: {fault}" for fault in error.faults)) from None
        for each in loaded:
            self._print(_lines(each))
        self._print(_users(loaded))
        self._print(_unused(loaded))
        if file:
            self._print(_others(loaded))
        self._print([_counts(loaded, dry_run)])

    def _print(self, lines: Iterator[str] | Sequence[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _lines(loaded: Loaded) -> Iterator[str]:
    row, is_new, changes, kept = loaded
    name = str(row) if isinstance(row, Vendor) else f"{row._meta.model_name} {row}"
    if is_new:
        yield f"{name}: new"
    else:
        yield from (f"{name}: {change.shown('->')}" for change in changes)
    if kept:
        values = ", ".join(f"{column} = {value!r}" for column, value in kept.items())
        yield f"{name}: not in the file, kept: {values}. {TO_CHANGE}"
    if isinstance(row, Vendor):
        yield from (f"{name}: {note}" for note in _notes(row))
    elif isinstance(row, Credential) and row.fault:
        yield f"{name}: {row.fault} {WORKERS}"


def _notes(vendor: Vendor) -> Iterator[str]:
    """Yield what the environment lacks, and what else must be done."""
    if vendor.api_key_fault:
        yield f"api_key_env: {vendor.api_key_fault} {WORKERS}"
    if vendor.webhook_secret_fault:
        yield f"webhook_secret_env: {vendor.webhook_secret_fault} {CALLBACKS}"
    if vendor.callback_fault:
        yield f"callback: {vendor.callback_fault} {CALLBACKS}"
    yield from callback_notes(vendor)


def _users(loaded: Sequence[Loaded]) -> Iterator[str]:
    """Yield which vendors each changed limit counts, also those that are not in the file."""
    changed = [each.row for each in loaded if isinstance(each.row, Limit) and each.changes]
    if not changed:
        return
    vendors = {vendor.slug: vendor for vendor in Vendor.objects.all()}
    vendors |= {each.row.slug: each.row for each in loaded if isinstance(each.row, Vendor)}
    for limit in changed:
        users = [slug for slug, vendor in vendors.items() if uses(vendor, limit)]
        yield f"limit {limit}: used by {listed(users) if users else 'no vendor'}"


def _unused(loaded: Sequence[Loaded]) -> Iterator[str]:
    """Yield which limits that vendors named before no vendor names any more."""
    dropped = set[str]()
    for each in loaded:
        for change in each.changes:
            if isinstance(each.row, Vendor) and change.name == "limits":
                dropped |= {*_names(change.old)} - {*_names(change.new)}
    if not dropped:
        return
    rows = {vendor.slug: vendor for vendor in Vendor.objects.all()}
    rows |= {each.row.slug: each.row for each in loaded if isinstance(each.row, Vendor)}
    named = {name for vendor in rows.values() for name in vendor.limit_names}
    if unused := sorted(dropped - named):
        yield f"Used by no vendor any more: limit {', '.join(unused)}. {TO_DELETE}"


def _names(value: object) -> list[str]:
    return value if isinstance(value, list) else []


def _others(loaded: Sequence[Loaded]) -> Iterator[str]:
    slugs = [each.row.slug for each in loaded if isinstance(each.row, Vendor)]
    others = Vendor.objects.exclude(slug__in=slugs).values_list("slug", flat=True)
    if others:
        yield f"Not in the file, unchanged: {', '.join(others)}"


def _counts(loaded: Sequence[Loaded], dry_run: bool) -> str:
    created = sum(each.is_new for each in loaded)
    changed = sum(bool(each.changes) and not each.is_new for each in loaded)
    unchanged = len(loaded) - created - changed
    if dry_run:
        return (
            f"Dry run, nothing written: {created} would be created, {changed} changed, "
            f"{unchanged} unchanged"
        )
    return f"{created} created, {changed} changed, {unchanged} unchanged"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text.") from None
