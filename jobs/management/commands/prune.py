"""Deletes jobs that ended long ago: manage.py prune --older-than 30d"""

import re
import sys
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from jobs.management.dialogue import INTERRUPTED, agrees, counted, interruptible, no_store
from jobs.models import FINAL, Attempt, Callback, Job
from jobs.storage.store import STORE_ERRORS
from jobs.transfer.prune import GRACE, Prune, remembering
from vendors.catalogue import catalogue, listed
from vendors.management.store_command import StoreCommand
from vendors.models import Vendor

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
LEAST = timedelta(days=1)
MOST = timedelta(weeks=5200)


class Command(StoreCommand):
    help = (
        "Deletes jobs that ended long ago, with their tries and callbacks, and old callbacks that have no job. "
        "Open jobs stay, however old. It can run beside the service, be interrupted and run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--older-than",
            required=True,
            type=_age,
            metavar="AGE",
            help="since they ended: 48h, 30d or 8w; a day at the least",
        )
        add("--vendor", default="", metavar="SLUG", help="jobs of this vendor only")
        add(
            "--status",
            default="",
            choices=[*map(str, FINAL)],
            help="jobs that ended in this way only",
        )
        add("--dry-run", action="store_true", help="say how many it would be, and do nothing")
        add("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        age = options["older_than"]
        try:
            _refuse_unknown(options["vendor"])
            _refuse_what_limits_need(options["vendor"], age)
            prune = Prune(timezone.now() - age - GRACE, options["vendor"], options["status"])
            self._prune(prune, len(prune), options)
        except STORE_ERRORS as error:
            raise CommandError(f"{no_store(error)} Run it again when it does.") from None

    def _prune(self, prune: Prune, count: int, options: dict[str, Any]) -> None:
        if options["dry_run"]:
            return self.stdout.write(f"{counted(count, 'job')} would be deleted.")
        question = (
            f"{counted(count, 'job')} will be deleted for good, and old callbacks that have no job."
        )
        if not options["yes"] and not agrees(question):
            return self.stdout.write("Nothing was changed.")
        with interruptible() as interrupted:
            deleted = _deleted(prune, count, interrupted)
        report = f"{counted(deleted['job'], 'job')} deleted"
        if left := deleted["try"] + deleted["callback"]:
            report += f", and {left} tries and callbacks that had no job"
        if not interrupted.is_set():
            return self.stdout.write(report)
        self.stdout.write(f"Interrupted: {report}. Run it again for the rest.")
        sys.exit(INTERRUPTED)


def _deleted(prune: Prune, count: int, interrupted: Event) -> Counter[str]:
    """Delete until the end or an interrupt, and return how many it was of what."""
    deleted = Counter[str]()
    with tqdm(total=count, unit=" jobs", disable=None) as bar:
        for counts in _steps(prune):
            deleted += counts
            bar.update(counts["job"])
            if interrupted.is_set():
                break
    return deleted


def _steps(prune: Prune) -> Iterator[Counter[str]]:
    yield from (Counter({"job": count}) for count in prune.jobs())
    yield from prune.leftovers()


def _refuse_unknown(vendor: str) -> None:
    """Refuse a vendor that neither is there nor has left jobs or callbacks behind."""
    known = not vendor or vendor in catalogue.all()
    if not (
        known
        or any(model.objects.filter(vendor=vendor).exists() for model in (Job, Attempt, Callback))
    ):
        raise CommandError(
            f"There is no vendor {vendor!r}, and nothing of one is stored. Known vendors: {listed(catalogue.all())}."
        )


def _refuse_what_limits_need(vendor: str, age: timedelta) -> None:
    vendors = Vendor.objects.filter(slug=vendor) if vendor else Vendor.objects.all()
    if longer := remembering(vendors, age):
        each = longer[0]
        raise CommandError(
            f"The limits of vendor {each} ({each.rate_limits}) look back further than that, and are made from its tries when "
            "Redis has lost its data. Name a longer time, or another --vendor."
        )


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6})([hdw])", text)
    if not match:
        raise ArgumentTypeError(f"{text!r} is no age; write for example 48h, 30d or 8w")
    age = int(match[1]) * UNITS[match[2]]
    if not LEAST <= age <= MOST:
        raise ArgumentTypeError(f"{text!r} is not between a day and a hundred years")
    return age
