"""Writes the rows of an exported file into the store: manage.py import FILE"""
# ruff: noqa: N999 - the file has the command's name

import os
import sys
from collections.abc import Iterator
from threading import Event
from typing import IO, Any

import redis
from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from jobs.management.dialogue import INTERRUPTED, interruptible, no_store
from jobs.management.standstill import require_standstill
from jobs.storage.store import STORE_ERRORS
from jobs.transfer.archive import KINDS, FaultyArchiveError, named
from jobs.transfer.importing import Loading, forget_limits
from vendors.management.store_command import StoreCommand

WHY = "It would start jobs before the tries are there that its limits must count."


class Command(StoreCommand):
    help = (
        "Writes vendors, jobs, tries and callbacks of an exported file into the store, whose tables must be there (migrate). "
        "What is there already is left alone, so that it can be interrupted and run again. At the end all rows are counted. "
        "Not carried are users, permissions and secrets: CALLBACK_SECRETS and PUBLIC_URL must be those of before, or callbacks "
        "for jobs under way are lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--live", action="store_true", help="although workers are alive")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["file"]
        if not options["live"]:
            require_standstill(WHY)
        try:
            with open(path, "rb") as file:
                self._import(Loading(file), file)
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror}.") from None
        except FaultyArchiveError as error:
            raise CommandError(f"{path}: {error}") from None

    def _import(self, loading: Loading, file: IO[bytes]) -> None:
        size = os.fstat(file.fileno()).st_size
        with interruptible() as interrupted:
            try:
                _watch(loading.write(), "writing", size, interrupted)
                if not interrupted.is_set():
                    self._have_limits_made_anew()
                    _watch(loading.check(), "counting", size, interrupted)
            except STORE_ERRORS as error:
                text = f"The store failed behind line {loading.at}. {no_store(error)}"
                raise CommandError(f"{text} Run it again for the rest.") from None
        if interrupted.is_set():
            self.stdout.write(
                f"Interrupted: {loading.written.total()} rows written. Run it again for the rest."
            )
            sys.exit(INTERRUPTED)
        self._report(loading)

    def _have_limits_made_anew(self) -> None:
        try:
            forget_limits()
        except redis.RedisError:
            text = "Redis does not answer. If it is one that goes on running, empty it (FLUSHALL) before the workers start:"
            self.stdout.write(
                f"{text} what it remembers of calls may be less than the tries now say."
            )

    def _report(self, loading: Loading) -> None:
        for kind in KINDS:
            said, read, written, held = (
                each[kind] for each in (loading.said, loading.read, loading.written, loading.held)
            )
            self.stdout.write(
                f"{named(kind)}: {said} in the file, {read} read, {written} written, {held} are in the store"
            )
        for kind, count in loading.differing.items():
            if count:
                text = "were there with other content or under another id, and were left alone"
                self.stdout.write(f"{named(kind)}: {count} {text}")
        if kinds := loading.disagreeing():
            found = " and ".join(map(named, kinds))
            raise CommandError(
                f"The numbers of {found} do not agree. Run it again; if they stay so, make a new export."
            )


def _watch(steps: Iterator[int], what: str, size: int, interrupted: Event) -> None:
    """Take steps through the file until the end or an interrupt."""
    with tqdm(desc=what, total=size, unit="B", unit_scale=True, disable=None) as bar:
        for done in steps:
            bar.update(done - bar.n)
            if interrupted.is_set():
                return
