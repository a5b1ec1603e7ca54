"""Retries failed jobs, or applies stored callbacks again: manage.py replay"""

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

from audit.record import command_line, record
from jobs.choice import Choice
from jobs.management.terminal import INTERRUPTED, confirm, counted, interruptible
from jobs.models import Job, Status
from jobs.transfer.replay import RETRIABLE, CallbackReplay, JobReplay, Replay, run
from vendors.catalogue import catalogue, listed
from vendors.management.store_command import StoreCommand

MAX_SHOWN = 5
MAX_TEXT = 500  # of a value in the audit trail
JOB_OPTIONS = ("status", "error_code", "created_after", "created_before", "limit")
TIME_HELP = "ISO 8601; UTC unless it has an offset"


class Command(StoreCommand):
    help = (
        "Retries failed jobs, or others that the options choose. With --callbacks, applies stored "
        "callbacks again instead."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--id",
            action="append",
            dest="ids",
            type=_job_id,
            metavar="ID",
            help="only this job; may be repeated",
        )
        add(
            "--status",
            choices=[*map(str, RETRIABLE)],
            help="default: failed, or any of them with --id",
        )
        add("--vendor", metavar="SLUG", help="only jobs of this vendor")
        add("--error-code", metavar="CODE", help="only jobs that failed with this code")
        add("--created-after", type=_time, metavar="TIME", help=TIME_HELP)
        add("--created-before", type=_time, metavar="TIME", help=TIME_HELP)
        add("--limit", type=_positive, metavar="N", help="only the N oldest jobs")
        add(
            "--callbacks",
            "--deliveries",
            action="store_true",
            dest="callbacks",
            help="apply stored callbacks instead of retrying jobs (--deliveries is the old name)",
        )
        add("--dry-run", action="store_true", help="show what would be done")
        add("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, **options: Any) -> None:
        choice = _choice(options)
        replay = (CallbackReplay if options["callbacks"] else JobReplay)(
            choice, timezone.now(), options["limit"]
        )
        count = len(replay)
        if options["dry_run"]:
            return self._preview(replay, count)
        if not count:
            return self.stdout.write(f"No {replay.noun}s to {replay.verb}.")
        question = f"{counted(count, replay.noun)} will be {replay.done}."
        if not options["yes"] and not confirm(question):
            return self.stdout.write("Nothing was changed.")
        _record(options, replay, count)
        return self._run(replay, count)

    def _preview(self, replay: Replay, count: int) -> None:
        self.stdout.write(f"{counted(count, replay.noun)} would be {replay.done}.")
        for row in islice(replay, MAX_SHOWN):
            self.stdout.write(f"  {replay.describe(row)}")
        if count > MAX_SHOWN:
            self.stdout.write(f"  and {count - MAX_SHOWN} more")

    def _run(self, replay: Replay, count: int) -> None:
        outcomes = Counter[bool]()
        with interruptible() as interrupted:
            for changed in tqdm(run(replay), total=count, unit=f" {replay.noun}s", disable=None):
                outcomes[changed] += 1
                if interrupted.is_set():
                    break
        report = f"{outcomes[True]} {replay.done}, {outcomes[False]} skipped"
        if not interrupted.is_set():
            return self.stdout.write(report)
        self.stdout.write(f"Interrupted: {report}. Run it again for the rest.")
        sys.exit(INTERRUPTED)


def _record(options: dict[str, Any], replay: Replay, count: int) -> None:
    """Write an audit entry for all rows, before the first of them changes."""
    names = (*JOB_OPTIONS, "ids", "vendor")
    chosen = {name: options[name] for name in names if options[name]}
    changes: dict[str, list[Any]]
    changes = {name: [None, str(value)[:MAX_TEXT]] for name, value in chosen.items()}
    changes[f"{replay.noun}s"] = [None, count]
    record(command_line(), f"{replay.noun}s.replayed", "command:replay", changes)


def _choice(options: dict[str, Any]) -> Choice:
    """Return what the options choose. Raises CommandError if they contradict each other."""
    _refuse_contradictions(options)
    ids = tuple(dict.fromkeys(options["ids"] or ()))
    _refuse_unknown(ids, options["vendor"])
    return Choice(
        ids=ids,
        status=options["status"] or ("" if ids else Status.FAILED),
        vendor=options["vendor"] or "",
        error_code=options["error_code"] or "",
        created_after=options["created_after"],
        created_before=options["created_before"],
    )


def _refuse_contradictions(options: dict[str, Any]) -> None:
    given = [f"--{name.replace('_', '-')}" for name in JOB_OPTIONS if options[name] is not None]
    names = " and ".join(given)
    if options["callbacks"] and given:
        raise CommandError(f"--callbacks allows only --id and --vendor. Leave out {names}.")
    if options["ids"] and given:
        raise CommandError(f"--id already names the jobs. Leave out {names}.")
    if options["error_code"] and options["status"] == Status.CANCELLED:
        raise CommandError("Cancelled jobs have no error code. Leave out --error-code or --status.")
    after, before = options["created_after"], options["created_before"]
    if after and before and after >= before:
        raise CommandError("--created-after must be earlier than --created-before.")


def _refuse_unknown(ids: tuple[str, ...], vendor: str | None) -> None:
    unknown = set(ids) - set(Job.objects.filter(pk__in=ids).values_list("pk", flat=True))
    if unknown:
        raise CommandError(f"There is no job {', '.join(sorted(unknown))}.")
    if vendor and vendor not in catalogue.all():
        known = listed(catalogue.all())
        raise CommandError(f"There is no vendor {vendor!r}. Known vendors: {known}.")


def _job_id(text: str) -> str:
    try:
        return str(UUID(text if text.isascii() else ""))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a request id") from None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time, such as 2026-01-31T12:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _positive(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)
