"""What manage.py runs: Django's commands; what keeps one from running is said in one line, with what to do about it."""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from enrichlabs import logs, obstacles
from enrichlabs.obstacles import Obstacle
from jobs.faults import fault
from jobs.store import STORE_ERRORS


def main() -> None:
    try:
        obstacles.read_settings()
        obstacles.close_to_others()
        execute_from_command_line(sys.argv)
    except (Obstacle, ImproperlyConfigured) as error:
        obstacles.tell(error)
        sys.exit(1)
    except STORE_ERRORS as error:
        # Any other is a mistake of ours, and its traceback is wanted.
        if not (sentences := fault(error)):
            raise
        logs.say(sentences)
        sys.exit(1)


if __name__ == "__main__":
    main()
