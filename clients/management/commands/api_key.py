"""Creates, lists, rotates and revokes API keys: manage.py api_key create --client billing"""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone

from audit.record import command_line
from clients import editing, issuing, keys
from clients.issuing import Issued, IssuingError
from clients.management.arguments import duration, time
from clients.models import DEFAULT, ApiKey, Client
from clients.scopes import Scope
from clients.states import describe, moment
from vendors.catalogue import listed
from vendors.management.store_command import StoreCommand

DEFAULT_SCOPES = (Scope.SUBMIT, Scope.READ, Scope.MANAGE)
HEADINGS = ("KEY", "CLIENT", "NAME", "SCOPES", "STATE", "LAST USED")
OPTIONS = {"slug": "client"}  # where an option is not called as the field it sets
ADD_HINT = "manage.py api_key create makes one."


class Command(StoreCommand):
    help = (
        "Creates, lists, rotates and revokes API keys. A new key is printed once, alone on "
        "standard output, and can't be shown again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        _add_create(actions.add_parser("create", help="create a key and print it"))
        listing = actions.add_parser("list", help="list the keys, without their secrets")
        listing.add_argument("--client", metavar="SLUG", help="only keys of this client")
        rotating = actions.add_parser("rotate", help="create a key in place of another")
        rotating.add_argument("key", metavar="KEY", help="its first characters: elk_AbCd1234")
        rotating.add_argument(
            "--overlap",
            type=duration,
            default=issuing.DEFAULT_OVERLAP,
            metavar="TIME",
            help="how long the old key stays valid: 0 to 7d; 24h unless given",
        )
        revoking = actions.add_parser("revoke", help="end a key at once, and for good")
        revoking.add_argument("key", metavar="KEY", help="its first characters: elk_AbCd1234")
        revoking.add_argument("--reason", default="", metavar="TEXT", help="for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        actions = {
            "create": self._create,
            "list": self._list,
            "rotate": self._rotate,
            "revoke": self._revoke,
        }
        try:
            actions[options["action"]](options)
        except ValidationError as error:
            raise CommandError(" ".join(_faults(error))) from None
        except IssuingError as error:
            raise CommandError(str(error)) from None

    def _create(self, options: dict[str, Any]) -> None:
        fields = {name: options[name] for name in ("name", "scopes", "vendors", "addresses")}
        fields["expires_at"] = _expiry(options)
        client = Client.objects.filter(slug=options["client"]).first()
        if client is None:
            client = Client(slug=options["client"])
            _refuse_unknown(client, options["new_client"] or client.slug == DEFAULT)
            client.full_clean()
            issuing.draft(client, **fields)  # no new client for a key that can't be created
            editing.create(client, command_line())
            self._explain(f"Client {client} is new.")
        issued = issuing.create(client, command_line(), **fields)
        self._explain(f"API key {issued.key} of client {client}: {_validity(issued.key)}.")
        if not client.enabled:
            self._explain(f"It is refused as long as the client {client} is disabled.")
        self._print(issued)

    def _list(self, options: dict[str, Any]) -> None:
        found = ApiKey.objects.select_related("client").order_by("id")
        if slug := options["client"]:
            _refuse_unknown(Client.objects.filter(slug=slug).first() or Client(slug=slug))
            found = found.filter(client__slug=slug)
        rows = [_row(key, timezone.now()) for key in found]
        if not rows:
            return self._explain(f"There are no API keys. {ADD_HINT}")
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        for row in (HEADINGS, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        return None

    def _rotate(self, options: dict[str, Any]) -> None:
        key = _key(options["key"])
        issued = issuing.rotate(key, command_line(), overlap=options["overlap"])
        is_over = options["overlap"] == timedelta()
        old = "is refused from now on" if is_over else f"is valid until {moment(key.expires_at)}"
        self._explain(
            f"API key {issued.key} replaces {key}, which {old}. "
            f"The new key: {_validity(issued.key)}."
        )
        self._print(issued)

    def _revoke(self, options: dict[str, Any]) -> None:
        key = _key(options["key"])
        if issuing.revoke(key, command_line(), reason=options["reason"]):
            sentence = f"{key} of client {key.client} is revoked: refused within a second."
        else:
            sentence = f"{key} was revoked before, at {moment(key.revoked_at)}."
        self.stdout.write(sentence)

    def _print(self, issued: Issued) -> None:
        self._explain("Keep it now: it can't be shown again.")
        self.stdout.write(issued.text)

    def _explain(self, sentence: str) -> None:
        # Not on standard output, which is for the key alone: KEY=$(manage.py api_key create)
        self.stderr.write(sentence, style_func=str)


def _add_create(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--client", default=DEFAULT, metavar="SLUG", help=f"whose key; {DEFAULT} unless given")
    add("--new-client", action="store_true", help="create the client if it does not exist")
    add("--name", default="command line", help="what uses the key, such as 'nightly import'")
    add(
        "--scopes",
        default=",".join(DEFAULT_SCOPES),
        help=f"of {', '.join(Scope.values)}; without {Scope.METRICS} unless given",
    )
    add("--vendors", default="", metavar="SLUGS", help="of the client's vendors; all unless given")
    add("--addresses", default="", help="from where: 192.0.2.7,10.0.0.0/8; any unless given")
    expiry = parser.add_mutually_exclusive_group()
    expiry.add_argument("--expires-in", type=duration, metavar="TIME", help="such as 90d")
    expiry.add_argument("--expires-at", type=time, metavar="TIME", help="such as 2027-01-31T12:00Z")


def _expiry(options: dict[str, Any]) -> datetime | None:
    expires_in: timedelta | None = options["expires_in"]
    given: datetime | None = options["expires_at"]
    if expires_in is None:
        return given
    if not expires_in:
        raise CommandError("--expires-in: Choose a time above 0.")
    return timezone.now() + expires_in


def _refuse_unknown(client: Client, may_be_new: bool = False) -> None:
    if client._state.adding and not may_be_new:
        known = listed(Client.objects.values_list("slug", flat=True))
        raise CommandError(
            f"There is no client {client.slug!r}. Known clients: {known}. "
            "api_key create --new-client creates one."
        )


def _key(text: str) -> ApiKey:
    """Find the key. What was typed is not repeated: it may be a whole key."""
    public = keys.named(text)
    if not public:
        raise CommandError(
            "That does not name an API key. Write its first characters: elk_AbCd1234"
        )
    key = ApiKey.objects.select_related("client").filter(public=public).first()
    if key is None:
        raise CommandError(f"There is no API key elk_{public}. manage.py api_key list shows all.")
    return key


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    scopes = ",".join(sorted(key.granted_scopes))
    used = moment(key.last_used_at)
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in key.name)
    return str(key), key.client.slug, name, scopes, describe(key, now), used


def _validity(key: ApiKey) -> str:
    return (
        f"valid until {moment(key.expires_at)}" if key.expires_at else "valid until it is revoked"
    )


def _faults(error: ValidationError) -> list[str]:
    if not hasattr(error, "error_dict"):
        return error.messages
    return [
        f"--{OPTIONS.get(name, name).replace('_', '-')}: {' '.join(sentences)}"
        for name, sentences in error.message_dict.items()
    ]
