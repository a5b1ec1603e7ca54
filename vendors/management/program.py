"""How commands are run here: manage.py, or what has run it for the operator."""

import os

VARIABLE = "ENRICHLABS_MANAGE"  # set by script/manage


def command(words: str) -> str:
    """Return a command of manage.py as it can be pasted into a terminal."""
    return f"{os.environ.get(VARIABLE) or 'manage.py'} {words}"
