"""manage.py vendor try acme --input '{"name": "John Doe"}': calls a vendor once, without a job, and
shows what was said.
"""

import json
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from jobs.api import bodies
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.recovery import unusable
from jobs.worker import trial
from jobs.worker.trial import NoPermitError, Trial
from vendors.base import Accepted, Done
from vendors.catalogue import catalogue
from vendors.http.exchanges import Exchange
from vendors.models import Vendor
from vendors.payloads.cleaning import clean
from vendors.payloads.json_reader import VENDOR_JSON, InvalidJSON

MAX_SHOWN = 4096  # characters of a body
MASK = "***"
SECRET_HEADERS = re.compile(r"auth|key|token|secret|cookie|signature", re.IGNORECASE)
SECRET_PARAMETERS = re.compile(
    r"(?i)([?&][^=&]*(?:key|token|secret|password|signature)[^=&]*=)[^&\s\"#]*"
)
INPUT_JSON = replace(bodies.JOB_JSON, subject="--input")
NO_SECRETS = ("Idempotency-Key",)


class Command(BaseCommand):
    help = "Calls a vendor once, without a job, and shows request, answer and outcome; secrets are masked."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        attempt = actions.add_parser(
            "try", help="call a vendor once, within its limits, also while it is paused"
        )
        attempt.add_argument("vendor", help="the vendor's slug")
        attempt.add_argument(
            "--input", required=True, metavar="JSON", help="what a job would be posted with"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        vendor, given = _vendor(options["vendor"]), _input(options["input"])
        if why := unusable.fault(vendor):
            raise CommandError(f"The vendor {vendor} can't be called from here: {why}")
        try:
            self._note(vendor)
            done = trial.run(vendor, given)
        except NoPermitError as error:
            raise CommandError(
                f"No permit for the vendor {vendor} within {trial.TIMEOUT_SECONDS:.0f} s. {error}"
            ) from None
        except redis.RedisError as error:
            raise CommandError(
                f"Redis does not answer ({type(error).__name__}), and only it can give a permit. Start script/server, or Redis."
            ) from None
        self._show(vendor, done)
        if not isinstance(done.answer, Done | Accepted):
            sys.exit(1)

    def _note(self, vendor: Vendor) -> None:
        if vendor.is_paused(timezone.now()):
            self.stdout.write(
                f"The vendor is paused: {vendor.pause_reason.rstrip('.')}. This call is made all the same."
            )
        if commands().hexists(Keys(vendor.slug).state, "open_until"):
            self.stdout.write(
                "The vendor's breaker is open: it seemed to be down. This call is made all the same."
            )

    def _show(self, vendor: Vendor, done: Trial) -> None:
        secrets = [
            vendor.api_key,
            *vendor.webhook_secrets,
            done.call.callback_url.rpartition("token=")[2],
        ]
        lines = [line for exchange in done.exchanges for line in _told(vendor, exchange)]
        lines += [
            "",
            f"Outcome after {done.seconds:.2f} s",
            *(f"  {line}" for line in _outcome(done)),
        ]
        for line in lines:
            self.stdout.write(_masked(line, secrets))


def _vendor(slug: str) -> Vendor:
    if vendor := catalogue.get(slug):
        return vendor
    raise CommandError(
        f"There is no vendor {slug!r}. There are: {', '.join(catalogue.all()) or 'none'}."
    )


def _input(text: str) -> dict[str, Any]:
    try:
        given = INPUT_JSON.read(text.encode("utf-8", "surrogateescape"))
    except InvalidJSON as error:
        raise CommandError(str(error)) from None
    if not isinstance(given, dict):
        raise CommandError("""--input must be a JSON object, such as '{"name": "John Doe"}'.""")
    return given


def _told(vendor: Vendor, exchange: Exchange) -> list[str]:
    request = [
        f"POST {exchange.url}",
        *_headers(exchange.headers),
        _body(exchange.body, frozenset()),
    ]
    if exchange.status is None:
        answer = ["none"]
    else:
        body = _body(exchange.reply_body, vendor.redacted_fields)
        answer = [
            f"status {exchange.status}",
            *_headers(exchange.reply_headers),
            *([body] if body else []),
        ]
    return [
        "",
        "Request",
        *(f"  {line}" for line in request),
        "",
        "Answer",
        *(f"  {line}" for line in answer),
    ]


def _headers(headers: Mapping[str, str]) -> list[str]:
    def is_secret(name: str) -> bool:
        return name not in NO_SECRETS and bool(SECRET_HEADERS.search(name))

    return [f"{name}: {MASK if is_secret(name) else value}" for name, value in headers.items()]


def _body(body: bytes, redacted: frozenset[str]) -> str:
    """Return the body as JSON without the redacted fields, or as the text that it is; cut where it
    is long.
    """
    try:
        text = json.dumps(clean(VENDOR_JSON.read_object(body), redacted), ensure_ascii=False)
    except ValueError:
        text = body.decode("utf-8", "replace")
    return (
        text
        if len(text) <= MAX_SHOWN
        else f"{text[:MAX_SHOWN]}... (cut here, {len(text)} characters in all)"
    )


def _outcome(done: Trial) -> list[str]:
    match done.answer:
        case Done(result):
            return ["done", json.dumps(result, ensure_ascii=False, default=str)[:MAX_SHOWN]]
        case Accepted():
            return [
                "accepted",
                "The vendor's callback belongs to no job: when it comes, it is stored as unmatched.",
            ]
    code, message = trial.outcome(done.answer)
    return [code, message]


def _masked(line: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        line = line.replace(secret, MASK).replace(json.dumps(secret)[1:-1], MASK)
    return SECRET_PARAMETERS.sub(rf"\1{MASK}", line)
