"""Calls a vendor once, without a job, and prints the request and the response:
manage.py vendor try acme --input '{"name": "John Doe"}'
"""

import sys
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from jobs.api.input import bodies
from jobs.management.trial_text import masked_lines
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.recovery import unusable
from jobs.worker import trial
from jobs.worker.trial import NoPermitError
from vendors.base import Accepted, Done
from vendors.catalogue import catalogue, listed
from vendors.models import Vendor
from vendors.payloads.json_reader import InvalidJSON

INPUT_JSON = replace(bodies.JOB_JSON, subject="--input")


class Command(BaseCommand):
    help = (
        "Calls a vendor once, without a job, and prints the request, the response and the outcome "
        "with secrets masked."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        trying = actions.add_parser(
            "try", help="call a vendor once, within its limits, even while it is paused"
        )
        trying.add_argument("vendor", metavar="SLUG", help="the vendor's slug")
        trying.add_argument(
            "--input", required=True, metavar="JSON", help="the JSON object to send, as in a job"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        vendor, job_input = _vendor(options["vendor"]), _input(options["input"])
        if fault := unusable.fault(vendor):
            raise CommandError(f"Can't call vendor {vendor} from here: {fault}")
        try:
            self._warn(vendor)
            made = trial.run(vendor, job_input)
        except NoPermitError as error:
            timeout = f"{trial.TIMEOUT_SECONDS:.0f} s"
            raise CommandError(f"No permit for vendor {vendor} within {timeout}. {error}") from None
        except redis.RedisError as error:
            raise CommandError(
                f"Redis does not respond ({type(error).__name__}), and a call needs a permit from "
                "it. Start script/server, or Redis."
            ) from None
        for line in masked_lines(vendor, made):
            self.stdout.write(line)
        if not isinstance(made.answer, Done | Accepted):
            sys.exit(1)

    def _warn(self, vendor: Vendor) -> None:
        if vendor.is_paused(timezone.now()):
            reason = vendor.pause_reason.rstrip(".")
            self.stdout.write(f"The vendor is paused: {reason}. Calling it anyway.")
        if commands().hexists(Keys(vendor.slug).state, "open_until"):
            self.stdout.write("The vendor's breaker is open: it seemed down. Calling it anyway.")


def _vendor(slug: str) -> Vendor:
    if vendor := catalogue.get(slug):
        return vendor
    known = listed(catalogue.all())
    raise CommandError(f"There is no vendor {slug!r}. Known vendors: {known}.")


def _input(text: str) -> dict[str, Any]:
    try:
        given = INPUT_JSON.read(text.encode("utf-8", "surrogateescape"))
    except InvalidJSON as error:
        raise CommandError(str(error)) from None
    if not isinstance(given, dict):
        raise CommandError("""--input must be a JSON object, such as '{"name": "John Doe"}'.""")
    return given
