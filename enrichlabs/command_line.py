"""Runs manage.py: Django's commands, with known faults reported in one line, not as a traceback."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from enrichlabs import logs
from enrichlabs.standalone import preflight, private_files, startup
from enrichlabs.standalone.startup import StartupError
from jobs.storage.store import STORE_ERRORS

# Commands that do not use the store, or, as `check`, report on it themselves.
WITHOUT_STORE = {"check", "collectstatic", "diffsettings", "findstatic", "help", "makemigrations"}
WITHOUT_STORE |= {"spectacular", "sqlmigrate", "version"}

NOBODY_READS = 141  # the exit status that shells report for SIGPIPE


def main() -> None:
    try:
        startup.read_settings()
        private_files.restrict_all()
        if uses_store(sys.argv[1:]):
            django.setup()
            startup.refuse_old_store()
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        end_if_nobody_reads()
        raise
    except (StartupError, ImproperlyConfigured) as error:
        startup.report(error)
        sys.exit(1)
    except STORE_ERRORS as error:
        if not (fault := preflight.known_store_fault(error)):
            raise  # with its traceback
        logs.say(fault.public)
        sys.exit(1)


def end_if_nobody_reads() -> None:
    """Exit as a program does that SIGPIPE ends, if standard output is closed: by `head`, say, which
    has read enough.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left would be written, and fail, once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOBODY_READS)


def uses_store(arguments: list[str]) -> bool:
    asks_for_help = {"-h", "--help", "--version"} & set(arguments)
    return bool(arguments) and not asks_for_help and arguments[0] not in WITHOUT_STORE


if __name__ == "__main__":
    main()
