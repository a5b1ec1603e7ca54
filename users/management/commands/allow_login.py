"""Lets people log in again after too many failures: manage.py allow_login ann"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from audit.record import command_line, record
from users.throttle import account_of, forgive_all, network_of
from vendors.management.store_command import StoreCommand


class Command(StoreCommand):
    help = (
        "Forgets the failed logins to an account from anywhere, or those from an address, so that "
        "nobody need wait."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="the user, as typed into the login page")
        parser.add_argument("--address", help="an IP address, from which any logins are allowed")

    def handle(self, *args: Any, **options: Any) -> None:
        name, address = options["name"], options["address"]
        count = 0
        if not name and not address:
            raise CommandError("Give a user's name, or --address with an IP address.")
        if address:
            if not (network := network_of(address)):
                raise CommandError("--address is not an IP address.")
            count += self._allow(f"address:{network}", address=network)
        if name:
            count += self._allow(f"user:{name}", account=account_of(name))
        self.stdout.write(f"{count} failed login{'' if count == 1 else 's'} forgotten.")

    def _allow(self, target: str, **where: str) -> int:
        count = forgive_all(**where)
        record(command_line(), "user.logins_allowed", target[:100])
        return count
