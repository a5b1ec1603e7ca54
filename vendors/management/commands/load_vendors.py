"""Create or update vendors from a TOML file: manage.py load_vendors vendors.toml"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vendors.definitions import toml
from vendors.definitions.loading import Loaded, load
from vendors.management.store_command import StoreCommand
from vendors.models import Vendor


class Command(StoreCommand):
    help = "Create or update vendors from a TOML file, a table [vendors.<slug>] each; all of them or none."

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("file", nargs="?", help="the TOML file")
        source.add_argument(
            "--mocks", metavar="URL", help="instead of a file: the two mock vendors that URL serves"
        )
        parser.add_argument(
            "--only-new", action="store_true", help="leave vendors alone that are there already"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be changed, and change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["file"] or options["mocks"]
        only_new, dry_run = options["only_new"], options["dry_run"]
        try:
            parsed = (
                toml.built_in(options["mocks"])
                if options["mocks"]
                else toml.parse(_read(options["file"]))
            )
            loaded = load(parsed, only_new=only_new, dry_run=dry_run, source=source)
        except toml.FaultyVendorsError as error:
            raise CommandError("\n".join(_line(source, fault) for fault in error.faults)) from None
        for line in [
            *_told(loaded),
            *(_others(loaded) if options["file"] else ()),
            _counts(loaded, dry_run),
        ]:
            self.stdout.write(line)


def _told(loaded: Sequence[Loaded]) -> Iterator[str]:
    for vendor, is_new, changes, kept in loaded:
        if is_new:
            yield f"{vendor}: is new"
        for name, old, new in changes if not is_new else ():
            yield f"{vendor}: {name}: {old!r} -> {new!r}"
        if kept:
            values = ", ".join(f"{name} = {value!r}" for name, value in kept.items())
            yield f"{vendor}: kept, though the file does not name it: {values}. To clear a field, write it with an empty value."
        if vendor.api_key_fault:
            yield f"{vendor}: api_key_env: {vendor.api_key_fault} That is so here; the workers' environment counts."
        if vendor.webhook_secret_fault:
            fault = vendor.webhook_secret_fault
            yield f"{vendor}: webhook_secret_env: {fault} That is so here; the environment of what takes callbacks counts."


def _others(loaded: Sequence[Loaded]) -> Iterator[str]:
    others = Vendor.objects.exclude(slug__in=[each.vendor.slug for each in loaded]).values_list(
        "slug", flat=True
    )
    if slugs := ", ".join(others):
        yield f"Not in the file, and left as they are: {slugs}"


def _counts(loaded: Sequence[Loaded], dry_run: bool) -> str:
    created = sum(each.is_new for each in loaded)
    changed = sum(bool(each.changes) and not each.is_new for each in loaded)
    unchanged = len(loaded) - created - changed
    if dry_run:
        return f"Dry run, nothing is written: {created} would be created, {changed} changed, {unchanged} left unchanged"
    return f"{created} created, {changed} changed, {unchanged} unchanged"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text.") from None


def _line(source: str, fault: toml.Fault) -> str:
    return f"{source} {fault}" if fault.line else f"{source}: {fault}"
