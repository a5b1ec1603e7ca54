"""Lets somebody log in again after too many failures: manage.py allow_login ann"""

from argparse import ArgumentParser
from typing import Any

from audit.record import command_line, record
from users.throttle import account_of, forgive_all
from vendors.management.store_command import StoreCommand


class Command(StoreCommand):
    help = (
        "Forgets the failed logins to an account, from all addresses, so that its owner need not "
        "wait."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name, as typed into the login page")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        count = forgive_all(account_of(name))
        record(command_line(), "user.logins_allowed", f"user:{name}"[:100])
        self.stdout.write(f"{count} failed login{'' if count == 1 else 's'} forgotten.")
