"""Adds to the history what a process that was killed had not written: manage.py recount"""

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from jobs.management.terminal import store_fault
from jobs.models import Span
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from jobs.tallies import fold, marks
from jobs.tallies.recount import recount
from vendors.catalogue import catalogue
from vendors.management.store_command import StoreCommand

MAX_HOURS = 24


class Command(StoreCommand):
    help = (
        "Counts the jobs and calls of the last hours again, and adds to the history of the console "
        "and to the counters of /metrics what is missing there: what a process had counted in its "
        "last second before it was killed, or while the store was away. The current hour and the "
        "one before it may be too recent. It can run beside the service, and be run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            type=_hours,
            default=_hours("24h"),
            metavar="AGE",
            help="how far to go back, such as 2h; at most 24h, which is the default",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            until = marks.read().hour
            since = fold.floor(redis_clock.now() - options["since"], Span.HOUR)
            for vendor in catalogue.all():
                if missing := recount(vendor, since, until):
                    self.stdout.write(f"{vendor}: {missing:,} jobs and calls were missing.")
        except STORE_ERRORS as error:
            raise CommandError(f"{store_fault(error)} Then run recount again.") from None
        self.stdout.write(f"The history is complete until {until:%Y-%m-%d %H:%M} UTC.")


def _hours(text: str) -> timedelta:
    number = text.removesuffix("h")
    if not number.isdecimal() or not 1 <= int(number) <= MAX_HOURS:
        raise ArgumentTypeError(f"{text!r} is not a number of hours from 1h to {MAX_HOURS}h.")
    return timedelta(hours=int(number))
