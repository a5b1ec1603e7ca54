"""Keys that jobs still need, and that a credential must therefore keep."""

from collections.abc import Callable, Collection

Asked = Callable[[str, Collection[str]], Collection[str]]
IN_USE = (
    "Open jobs were called with {names}, and may still have to be polled with it. Keep it in "
    "retired_env until they have ended: then it is used for nothing else."
)
_asked: list[Asked] = []


def ask(whoever: Asked) -> None:
    """Have `whoever` say, given a credential's slug and names of keys, which of these are in use.

    Jobs are kept by another app, which vendors may not import.
    """
    _asked.append(whoever)


def removal_refusal(credential: str, old: Collection[str], new: Collection[str]) -> str:
    """Return why a credential may not have the keys `new` instead of `old`; '' if it may."""
    removed = [name for name in old if name not in new]
    if not removed:
        return ""
    used = {name for each in _asked for name in each(credential, removed)}
    return IN_USE.format(names=" and ".join(sorted(used))) if used else ""
