"""Reads an exported file into the store: manage.py import FILE"""
# ruff: noqa: N999 - the file has the command's name

import os
import sys
from collections.abc import Iterator
from threading import Event
from typing import IO, Any

import redis
from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from audit.record import command_line, record
from jobs.management.terminal import INTERRUPTED, counted, interruptible, store_fault
from jobs.management.workers import require_no_workers
from jobs.storage.store import STORE_ERRORS
from jobs.transfer.archive import KINDS, FaultyArchiveError, plural
from jobs.transfer.importing import Import, forget_limits
from vendors.management.store_command import StoreCommand

REASON = "It would start jobs before the attempts that count against their limits are imported."

LEFT_OUT = {
    "batch": "because another batch of the client has the idempotency key; their jobs are imported",
    "job": "because another job of the client has the idempotency key, or the place in the batch; "
    "their attempts and callbacks are imported, since the calls count against the vendors' limits",
}


class Command(StoreCommand):
    help = (
        "Reads the vendors, clients, batches, jobs, attempts and callbacks of an exported file "
        "into the store, whose tables must exist (migrate). Exports of 0.1.0 can be read too. "
        "Existing rows are not changed, so the import can be interrupted and run again. At the end "
        "it counts all rows. "
        "Users, permissions, API keys and secrets are not included: create new keys, and keep "
        "CALLBACK_SECRETS and PUBLIC_URL, or callbacks for jobs in flight are lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--live", action="store_true", help="import while workers are running")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["file"]
        if not options["live"]:
            require_no_workers(REASON)
        try:
            with open(path, "rb") as file:
                self._import(Import(file), file)
        except OSError as error:
            raise CommandError(f"Can't read {path}: {error.strerror}.") from None
        except FaultyArchiveError as error:
            raise CommandError(f"{path}: {error}") from None

    def _import(self, rows: Import, file: IO[bytes]) -> None:
        size = os.fstat(file.fileno()).st_size
        with interruptible() as interrupted:
            try:
                _follow(rows.write(), "writing", size, interrupted)
                if not interrupted.is_set():
                    self._forget_limits()
                    _follow(rows.check(), "counting", size, interrupted)
            except STORE_ERRORS as error:
                raise CommandError(
                    f"The store failed after line {rows.last_line}. {store_fault(error)} Run the "
                    "import again to continue."
                ) from None
        if interrupted.is_set():
            written = counted(rows.written.total(), "row")
            self.stdout.write(f"Interrupted: {written} written. Run the import again to continue.")
            sys.exit(INTERRUPTED)
        changes = {plural(kind): [None, rows.written[kind]] for kind in KINDS}
        record(command_line(), "store.imported", "command:import", changes)
        self._report(rows)

    def _forget_limits(self) -> None:
        try:
            forget_limits()
        except redis.RedisError:
            self.stdout.write(
                "Redis does not respond. If it still holds data, empty it (FLUSHALL) before you "
                "start workers: it may remember fewer calls than the imported attempts."
            )

    def _report(self, rows: Import) -> None:
        for kind in KINDS:
            self.stdout.write(
                f"{plural(kind)}: {rows.expected[kind]} in the file, {rows.read[kind]} read, "
                f"{rows.written[kind]} written, {rows.stored[kind]} in the store"
            )
        for kind, count in rows.different.items():
            if count:
                self.stdout.write(
                    f"{plural(kind)}: {count} stored already with other content or under another "
                    "id; not changed"
                )
        for kind, count in rows.left_out.items():
            if count:
                self.stdout.write(f"{plural(kind)}: {count} of these left out, {LEFT_OUT[kind]}")
        for slug in rows.created:
            self.stdout.write(
                f"client {slug}: named by jobs or batches, but unknown; created, disabled"
            )
        if kinds := rows.mismatched():
            raise CommandError(
                f"The counts of {' and '.join(map(plural, kinds))} do not match. Run the import "
                "again; if they still do not match, make a new export."
            )


def _follow(steps: Iterator[int], action: str, size: int, interrupted: Event) -> None:
    """Run the steps through the file, with a progress bar, until the end or an interrupt."""
    with tqdm(desc=action, total=size, unit="B", unit_scale=True, disable=None) as bar:
        for done in steps:
            bar.update(done - bar.n)
            if interrupted.is_set():
                return
