"""Where in an adapter something went wrong: its file and line, for whoever has to correct it."""

import inspect
import traceback
from pathlib import Path

from django.conf import settings

from vendors.base import Adapter

BUILT_IN = Path(__file__).parent / "adapters"


def place(error: BaseException) -> str:
    """Return the last line of an adapter that the error passed through; the line that raised it
    where there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename} line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    of_adapter = [frame for frame in frames if _is_adapter(frame.filename)]
    last = (of_adapter or frames)[-1]
    return f"{last.filename} line {last.lineno}"


def place_of_method(adapter: Adapter, name: str) -> str:
    """Return where the adapter defines the method."""
    code = getattr(inspect.unwrap(getattr(type(adapter), name)), "__code__", None)
    return f"{code.co_filename} line {code.co_firstlineno}" if code else type(adapter).__module__


def _is_adapter(filename: str) -> bool:
    return any(
        Path(filename).is_relative_to(folder) for folder in (settings.ADAPTERS_DIR, BUILT_IN)
    )
