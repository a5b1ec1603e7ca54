"""Writes all rows of the store to a file, for another store: manage.py export FILE"""

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from audit.record import command_line, record
from jobs.management.terminal import INTERRUPTED, counted, interruptible, store_fault
from jobs.management.workers import require_no_workers
from jobs.storage.store import STORE_ERRORS
from jobs.transfer.archive import FaultyArchiveError
from jobs.transfer.export import Export, opened
from vendors.management.store_command import StoreCommand

REASON = (
    "Rows that change during the export make an inconsistent copy, and vendors could be called "
    "again."
)


class Command(StoreCommand):
    help = (
        "Writes all vendors, clients, batches, jobs, attempts and callbacks to a file of JSON "
        "lines that import reads into another store. It can be interrupted, and run again with the "
        "same file to continue. Users, permissions, API keys and secrets are not included. The "
        "file contains what clients sent and is readable only by its owner. MongoDB stores times "
        "to the millisecond."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument(
            "--live",
            action="store_true",
            help="export while workers are running: for a rehearsal, not for a move",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["file"]
        if not options["live"]:
            require_no_workers(REASON)
        try:
            with opened(path) as file:
                self._export(Export(file), path)
        except FaultyArchiveError as error:
            raise CommandError(
                f"{path} already exists and can't be continued: {error} Name another file."
            ) from None
        except BlockingIOError:
            raise CommandError(f"Another export is writing {path}.") from None
        except OSError as error:
            raise CommandError(
                f"Can't write {path}: {error.strerror}. Fix that, then run the export again to "
                "continue."
            ) from None
        except STORE_ERRORS as error:
            raise CommandError(f"{store_fault(error)} Run the export again to continue.") from None

    def _export(self, export: Export, path: str) -> None:
        if export.is_finished:
            raise CommandError(f"{path} is a finished export. Name another file, or remove it.")
        begun = sum(export.counts.values())
        if begun:
            self.stdout.write(
                f"Continuing {path} after {counted(begun, 'row')}. If the service has run since, "
                "remove the file and start again."
            )
        record(command_line(), "store.exported", "command:export")
        with interruptible() as interrupted:
            for _ in tqdm(export, initial=begun, total=len(export), unit=" rows", disable=None):
                if interrupted.is_set():
                    break
        counts = ", ".join(counted(count, kind) for kind, count in export.counts.items())
        if export.is_finished:
            return self.stdout.write(f"{path} is finished: {counts}.")
        self.stdout.write(f"Interrupted: {counts}. Run the export again to continue.")
        sys.exit(INTERRUPTED)
