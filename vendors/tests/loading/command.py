"""Runs load_vendors and reads its output."""

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

ACME = '[vendors.acme]\nadapter = "sync"\nurl = "https://acme.test/"\nrate_limits = "50/s"\n'


def run(*arguments: str) -> str:
    printed = StringIO()
    call_command("load_vendors", *arguments, stdout=printed)
    return printed.getvalue().strip()


def counts(printed: str) -> str:
    return printed.split("\n")[-1]


def error_of(call: Callable[..., str], *arguments: str) -> list[str]:
    with pytest.raises(CommandError) as caught:
        call(*arguments)
    return str(caught.value).split("\n")
