"""Create or update vendors from a TOML file: manage.py load_vendors vendors.toml"""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vendors import toml
from vendors.loading import load
from vendors.management.store_command import StoreCommand


class Command(StoreCommand):
    help = "Create or update vendors from a TOML file, a table [vendors.<slug>] each; all of them or none."

    def add_arguments(self, parser: CommandParser) -> None:
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("file", nargs="?", help="the TOML file")
        source.add_argument("--mocks", metavar="URL", help="instead of a file: the two pretend vendors that URL serves")
        parser.add_argument("--only-new", action="store_true", help="leave vendors alone that are there already")

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["file"] or options["mocks"]
        try:
            entries = toml.built_in(options["mocks"]) if options["mocks"] else toml.parse(_read(options["file"]))
            counts = load(entries, only_new=options["only_new"])
        except toml.FaultyVendorsError as error:
            raise CommandError("\n".join(_line(source, fault) for fault in error.faults)) from None
        self.stdout.write(f"{counts.created} created, {counts.changed} changed, {counts.unchanged} unchanged")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text.") from None


def _line(source: str, fault: toml.Fault) -> str:
    return f"{source} {fault}" if fault.line else f"{source}: {fault}"
