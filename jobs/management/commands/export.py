"""Writes all rows of the store into a file, for another store: manage.py export FILE"""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from jobs.management.dialogue import INTERRUPTED, interruptible, no_store
from jobs.management.standstill import require_standstill
from jobs.storage.store import STORE_ERRORS
from jobs.transfer.archive import FaultyArchiveError, named
from jobs.transfer.export import Export, opened
from vendors.management.store_command import StoreCommand

WHY = "What moves on while it is copied makes a copy that was never true, from which vendors would be called again."


class Command(StoreCommand):
    help = (
        "Writes vendors, jobs, tries and callbacks into a file of JSON lines, which import reads into another store. It can be "
        "interrupted; with the same file it goes on where it broke off. Not carried are users, permissions and secrets. "
        "The file holds what users have sent, and is readable for its owner only. MongoDB keeps times to the millisecond."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument(
            "--live",
            action="store_true",
            help="although workers are alive; for a rehearsal, not for a move",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["file"]
        if not options["live"]:
            require_standstill(WHY)
        try:
            with opened(path) as file:
                self._export(Export(file), path)
        except FaultyArchiveError as error:
            raise CommandError(
                f"{path} is there already, and can't be gone on with: {error} Name another file."
            ) from None
        except BlockingIOError:
            raise CommandError(f"{path} is being written by another export.") from None
        except OSError as error:
            raise CommandError(
                f"{path} can't be written: {error.strerror}. Mend that, and run it again for the rest."
            ) from None
        except STORE_ERRORS as error:
            raise CommandError(
                f"{no_store(error)} Run it again when it does: it goes on where it broke off."
            ) from None

    def _export(self, export: Export, path: str) -> None:
        if export.is_finished:
            raise CommandError(
                f"{path} is a finished export already. Name another file, or remove it."
            )
        begun = sum(export.counts.values())
        if begun:
            self.stdout.write(
                f"{path} has {begun} rows already; if the service has run since, remove it and begin again."
            )
        with interruptible() as interrupted:
            for _ in tqdm(export, initial=begun, total=len(export), unit=" rows", disable=None):
                if interrupted.is_set():
                    break
        counts = ", ".join(f"{count} {named(kind)}" for kind, count in export.counts.items())
        if export.is_finished:
            return self.stdout.write(f"{path} is finished: {counts}.")
        self.stdout.write(f"Interrupted: {counts}. Run it again for the rest.")
        sys.exit(INTERRUPTED)
