"""Puts failed jobs back into their queue, or applies stored callbacks again."""

import re
import sys
from argparse import ArgumentTypeError
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from jobs.management.dialogue import INTERRUPTED, agrees, counted, interruptible
from jobs.models import Job, Status
from jobs.transfer.replay import RETRIABLE, CallbackReplay, Choice, JobReplay, Replay, run
from vendors.catalogue import catalogue, listed
from vendors.management.store_command import StoreCommand

SHOWN_FIRST = 5
JOBS_ONLY = ("status", "error_code", "created_after", "created_before", "limit")


class Command(StoreCommand):
    help = "Puts failed (or otherwise chosen) jobs back into their queue, or applies stored callbacks again."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--id",
            action="append",
            dest="ids",
            type=_job_id,
            metavar="ID",
            help="this job only; may be repeated",
        )
        add(
            "--status",
            choices=[*map(str, RETRIABLE)],
            help="failed where neither this nor --id is given",
        )
        add("--vendor", help="jobs of this vendor only")
        add("--error-code", metavar="CODE", help="jobs that failed with this code only")
        add(
            "--created-after",
            type=_moment,
            metavar="TIME",
            help="ISO 8601; UTC where it names no zone",
        )
        add("--created-before", type=_moment, metavar="TIME", help="likewise")
        add("--limit", type=_positive, metavar="N", help="the N oldest only")
        add(
            "--callbacks",
            action="store_true",
            help="apply stored callbacks again, in place of putting jobs back",
        )
        add("--dry-run", action="store_true", help="say what would be done, and do nothing")
        add("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        choice = _choice(options)
        replay = (CallbackReplay if options["callbacks"] else JobReplay)(choice, timezone.now())
        count = len(replay)
        if options["dry_run"]:
            return self._show(replay, count)
        if not count:
            return self.stdout.write(f"There is no {replay.noun} to be {replay.done}.")
        if not options["yes"] and not agrees(
            f"{counted(count, replay.noun)} will be {replay.done}."
        ):
            return self.stdout.write("Nothing was changed.")
        return self._run(replay, count)

    def _show(self, replay: Replay, count: int) -> None:
        self.stdout.write(f"{counted(count, replay.noun)} would be {replay.done}.")
        for row in islice(replay, SHOWN_FIRST):
            self.stdout.write(f"  {replay.describe(row)}")
        if count > SHOWN_FIRST:
            self.stdout.write(f"  and {count - SHOWN_FIRST} more")

    def _run(self, replay: Replay, count: int) -> None:
        outcomes = Counter[bool]()
        with interruptible() as interrupted:
            for happened in tqdm(run(replay), total=count, unit=f" {replay.noun}s", disable=None):
                outcomes[happened] += 1
                if interrupted.is_set():
                    break
        report = f"{outcomes[True]} {replay.done}, {outcomes[False]} skipped"
        if not interrupted.is_set():
            return self.stdout.write(report)
        self.stdout.write(f"Interrupted: {report}. Run it again for the rest.")
        sys.exit(INTERRUPTED)


def _choice(options: dict[str, Any]) -> Choice:
    """Return what the options choose. Raises CommandError where they make no sense."""
    _refuse_nonsense(options)
    ids = tuple(dict.fromkeys(options["ids"] or ()))
    _refuse_unknown(ids, options["vendor"])
    return Choice(
        ids=ids,
        status=options["status"] or ("" if ids else Status.FAILED),
        vendor=options["vendor"] or "",
        error_code=options["error_code"] or "",
        created_after=options["created_after"],
        created_before=options["created_before"],
        limit=options["limit"],
    )


def _refuse_nonsense(options: dict[str, Any]) -> None:
    given = [f"--{name.replace('_', '-')}" for name in JOBS_ONLY if options[name] is not None]
    if options["callbacks"] and given:
        raise CommandError(
            f"{' and '.join(given)} choose jobs; --callbacks takes --id and --vendor only."
        )
    if options["ids"] and given:
        raise CommandError(f"--id names the jobs already; leave out {' and '.join(given)}.")
    if options["error_code"] and options["status"] == Status.CANCELLED:
        raise CommandError("A cancelled job has no error code; leave out --error-code or --status.")
    after, before = options["created_after"], options["created_before"]
    if after and before and after >= before:
        raise CommandError("--created-after must be earlier than --created-before.")


def _refuse_unknown(ids: tuple[str, ...], vendor: str | None) -> None:
    unknown = set(ids) - set(Job.objects.filter(pk__in=ids).values_list("pk", flat=True))
    if unknown:
        raise CommandError(f"There is no job {', '.join(sorted(unknown))}.")
    if vendor and vendor not in catalogue.all():
        raise CommandError(f"There is no vendor {vendor!r}; there are {listed(catalogue.all())}.")


def _job_id(text: str) -> str:
    try:
        return str(UUID(text if text.isascii() else ""))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no request id") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is no time; write for example 2026-01-31T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _positive(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)
