"""manage.py with the campaign's periods of quotas, which last seconds.

python -m chaos.manage run_worker ...
"""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    # Imported only now: chaos.skewed changes the clock first.
    from django.core.management import execute_from_command_line

    from chaos.limits.periods import shorten_all

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
    shorten_all()
    execute_from_command_line(["manage.py", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
