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

from audit.record import command_line, record
from jobs.management.terminal import INTERRUPTED, confirm, counted, interruptible, store_fault
from jobs.models import FINAL, Attempt, Callback, Job
from jobs.storage.store import STORE_ERRORS
from jobs.transfer.prune import Prune
from vendors.catalogue import catalogue, listed
from vendors.management.store_command import StoreCommand

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
MIN_AGE = timedelta(days=1)
MAX_AGE = timedelta(weeks=5200)


class Command(StoreCommand):
    help = (
        "Deletes jobs that ended long ago, with their attempts and callbacks, and old attempts and "
        "callbacks without a job. Open jobs are kept, however old. Without --vendor and --status, "
        "also deletes batches that finished long ago and of which no job is left. Attempts that a "
        "rate limit or a running quota still counts are kept without their job, until a later "
        "prune. It can run beside the service, be interrupted and run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--older-than",
            required=True,
            type=_age,
            metavar="AGE",
            help="time since they ended, such as 48h, 30d or 8w; at least a day",
        )
        add("--vendor", default="", metavar="SLUG", help="only jobs of this vendor")
        add("--status", default="", choices=[*map(str, FINAL)], help="only jobs of this status")
        add("--dry-run", action="store_true", help="show how many jobs would be deleted")
        add("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _refuse_unknown(options["vendor"])
            prune = Prune(
                timezone.now() - options["older_than"], options["vendor"], options["status"]
            )
            self._prune(prune, len(prune), options)
        except STORE_ERRORS as error:
            raise CommandError(f"{store_fault(error)} Then run prune again.") from None

    def _prune(self, prune: Prune, count: int, options: dict[str, Any]) -> None:
        jobs = counted(count, "job")
        if options["dry_run"]:
            return self.stdout.write(f"{jobs} would be deleted{_kept(prune.count_kept())}.")
        question = f"{jobs} and old callbacks without a job will be permanently deleted."
        if not options["yes"] and not confirm(question):
            return self.stdout.write("Nothing was changed.")
        _record(prune, count)
        with interruptible() as interrupted:
            deleted = _deleted(prune, count, interrupted)
        report = counted(deleted["job"], "job")
        if deleted["batch"]:
            report += f" and {counted(deleted['batch'], 'batch')}"
        report += " deleted"
        if deleted["attempt"] or deleted["callback"]:
            orphans = [counted(deleted[kind], kind) for kind in ("attempt", "callback")]
            report += f", and {' and '.join(orphans)} without a job"
        report += _kept(deleted["kept"])
        if not interrupted.is_set():
            return self.stdout.write(report)
        self.stdout.write(f"Interrupted: {report}. Run it again for the rest.")
        sys.exit(INTERRUPTED)


def _record(prune: Prune, count: int) -> None:
    """Write an audit entry, before the first row is deleted."""
    chosen: dict[str, Any] = {"vendor": prune.vendor, "status": prune.status, "jobs": count}
    chosen["ended_before"] = prune.ended_before.isoformat()
    changes = {name: [None, value] for name, value in chosen.items() if value}
    record(command_line(), "jobs.pruned", "command:prune", changes)


def _deleted(prune: Prune, count: int, interrupted: Event) -> Counter[str]:
    """Delete until the end or an interrupt, and return how many rows of each kind were deleted."""
    deleted = Counter[str]()
    with tqdm(total=count, unit=" jobs", disable=None) as bar:
        for counts in _steps(prune):
            deleted += counts
            bar.update(counts["job"])
            if interrupted.is_set():
                break
    return deleted


def _steps(prune: Prune) -> Iterator[Counter[str]]:
    yield from prune.jobs()
    yield from (Counter({"batch": count}) for count in prune.batches())
    yield from prune.orphans()


def _kept(count: int) -> str:
    return f"; {counted(count, 'attempt')} kept, which limits still count" if count else ""


def _refuse_unknown(vendor: str) -> None:
    """Refuse a vendor that neither exists nor has left any rows."""
    if not vendor or vendor in catalogue.all():
        return
    if not any(model.objects.filter(vendor=vendor).exists() for model in (Job, Attempt, Callback)):
        raise CommandError(
            f"There is no vendor {vendor!r}, and no rows of one are stored. "
            f"Known vendors: {listed(catalogue.all())}."
        )


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6})([hdw])", text)
    if not match:
        raise ArgumentTypeError(f"{text!r} is not an age, such as 48h, 30d or 8w")
    age = int(match[1]) * UNITS[match[2]]
    if not MIN_AGE <= age <= MAX_AGE:
        raise ArgumentTypeError(f"{text!r} is not between a day and a hundred years")
    return age
