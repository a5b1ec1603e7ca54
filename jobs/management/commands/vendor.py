"""Lists and adds vendors, proves their credentials, and calls them once without a job:
manage.py vendor try acme --input '{"name": "John Doe"}'
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.core.management.base import CommandError

from audit.record import command_line, record
from jobs.management.terminal import store_fault
from jobs.management.vendor import adding, calling, checking, listing, text
from jobs.storage.store import STORE_ERRORS
from jobs.trials import trying
from jobs.trials.report import report
from jobs.worker import trial
from jobs.worker.trial import Trial
from vendors.base import Accepted, Done
from vendors.management.store_command import StoreCommand
from vendors.models import Vendor


class Command(StoreCommand):
    help = (
        "Lists the vendors and the gallery, adds a vendor from the gallery, proves a credential "
        "by a free call, or calls a vendor once without a job. Secrets are masked."
    )
    requires_system_checks = ()
    _has_warned = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listed = actions.add_parser("list", help="list the vendors, and those in the gallery")
        added = actions.add_parser("add", help="add a vendor from the gallery")
        added.add_argument("name", metavar="NAME", help="its name in the gallery")
        added.add_argument("--as", dest="slug", default="", metavar="SLUG", help="another slug")
        added.add_argument(
            "--dry-run", action="store_true", help="print the definition, and add nothing"
        )
        checked = actions.add_parser(
            "check", help="prove a vendor's credential by a free call with each of its keys"
        )
        checked.add_argument(
            "--key", default="", metavar="VARIABLE", help="only the key in this variable"
        )
        tried = actions.add_parser(
            "try", help="call a vendor once, within its limits, even while it is paused"
        )
        for called in (checked, tried):
            called.add_argument("vendor", metavar="SLUG", help="the vendor's slug")
        tried.add_argument(
            "--input", metavar="JSON", help="the JSON object to send, as in a job; needed to call"
        )
        tried.add_argument(
            "--poll",
            nargs="?",
            const="",
            metavar="REFERENCE",
            help="ask for the answer to an earlier call, by what the vendor calls it, if anything",
        )
        for each in (listed, added, checked, tried):
            each.add_argument("--json", action="store_true", help="print JSON, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        actions = {"list": self._list, "add": self._add, "check": self._check, "try": self._try}
        try:
            actions[options["action"]](options)
        except STORE_ERRORS as error:
            raise CommandError(store_fault(error)) from None

    def _list(self, options: dict[str, Any]) -> None:
        found = listing.listing()
        self._print(options, found, listing.lines(found))

    def _add(self, options: dict[str, Any]) -> None:
        added = adding.add(options["name"], options["slug"], dry_run=options["dry_run"])
        if options["json"] or not added.is_dry_run:
            self._print(options, adding.as_json(added), adding.lines(added))
            return
        for line in adding.lines(added):
            self.stderr.write(line, style_func=str)
        self.stdout.write(added.definition)  # alone on standard output: ... --dry-run >pdl.toml

    def _check(self, options: dict[str, Any]) -> None:
        vendor = calling.vendor_called(options["vendor"])
        if not calling.can_check(vendor):
            raise CommandError(checking.no_check(vendor))
        names = checking.keys_of(vendor, options["key"])
        checks = [self._check_key(options, vendor, name) for name in names]
        if len(checks) > 1:
            self._print(options, checking.together(vendor, checks), checking.all_lines(checks))
        else:
            self._print(options, checks[0].report, checking.lines(checks[0]))
        if not all(check.succeeds for check in checks):
            sys.exit(1)

    def _check_key(self, options: dict[str, Any], vendor: Vendor, key: str) -> checking.Check:
        if fault := checking.fault_of(vendor, key):
            return checking.unset(vendor, key, fault)
        made = self._made(options, vendor, partial(trial.check, vendor, key))
        return checking.concluded(vendor, key, made)

    def _try(self, options: dict[str, Any]) -> None:
        vendor = calling.vendor_called(options["vendor"])
        made = self._made(options, vendor, _make(vendor, options["input"], options["poll"]))
        found = report(vendor, made)
        changes = {"outcome": [None, found["outcome"]]}
        record(command_line(), "vendor.tried", f"vendor:{vendor}", changes)
        self._print(options, found, text.lines(vendor, found))
        if not isinstance(made.answer, Done | Accepted):
            sys.exit(1)

    def _made(self, options: dict[str, Any], vendor: Vendor, make: Callable[[], Trial]) -> Trial:
        def make_with_warnings() -> Trial:
            for warning in self._warnings_once(vendor):
                # Standard output is for the JSON alone.
                (self.stderr if options["json"] else self.stdout).write(warning, style_func=str)
            return make()

        return calling.made(vendor, make_with_warnings)

    def _warnings_once(self, vendor: Vendor) -> list[str]:
        """Return what would keep jobs from calling the vendor, before the first call only."""
        found = [] if self._has_warned else list(trying.warnings(vendor))
        self._has_warned = True
        return found

    def _print(self, options: dict[str, Any], found: Any, lines: Iterable[str]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False, default=str))
            return
        for line in lines:
            self.stdout.write(line)


def _make(vendor: Vendor, given: str | None, reference: str | None) -> Callable[[], Trial]:
    """Return what makes the call or the poll. Raises CommandError if the options do not fit."""
    if reference is not None:
        return _make_poll(vendor, given or "{}", reference)
    if given is None:
        raise CommandError(f"Say what to send: --input '{trying.example(vendor)}'")
    return partial(trial.run, vendor, calling.read_input(vendor, given))


def _make_poll(vendor: Vendor, given: str, reference: str) -> Callable[[], Trial]:
    if vendor.polling is None:
        raise CommandError(trying.NOT_POLLED.format(vendor=vendor))
    by_reference = trying.asks_by_reference(vendor)
    if by_reference and not reference:
        raise CommandError("Say what the vendor calls the work: --poll REFERENCE")
    job_input = calling.read_input(vendor, given, is_complete=not by_reference)
    return partial(trial.poll, vendor, job_input, reference)
