"""What manage.py runs: Django's commands; what keeps one from running is said in one line, with
what to do about it.
"""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from enrichlabs import logs
from enrichlabs.standalone import preflight
from enrichlabs.standalone.preflight import Obstacle
from jobs.storage.errors import explain
from jobs.storage.store import STORE_ERRORS


def main() -> None:
    try:
        preflight.read_settings()
        preflight.close_to_others()
        execute_from_command_line(sys.argv)
    except (Obstacle, ImproperlyConfigured) as error:
        preflight.tell(error)
        sys.exit(1)
    except STORE_ERRORS as error:
        # Any other is a mistake of ours, and its traceback is wanted.
        if not (sentences := explain(error)):
            raise
        logs.say(sentences)
        sys.exit(1)


if __name__ == "__main__":
    main()
