"""Keys that jobs still need, and that a credential must therefore keep."""

from collections.abc import Callable, Collection

Asked = Callable[[str, Collection[str], str], Collection[str]]
IN_USE = "Open jobs were called with {names}, and may still have to be polled with it. "
OF_CREDENTIAL = IN_USE + (
    "Keep it in retired_env until they have ended: then it is used for nothing else."
)
OF_VENDOR = IN_USE + (
    "Keep this vendor's credential until they have ended, or name the variable in retired_env of "
    "the new one."
)
_asked: list[Asked] = []


def ask(whoever: Asked) -> None:
    """Have `whoever` say, given a credential's slug, names of keys and a vendor's slug or, for all
    that use the credential, '', which of these keys are in use.

    Jobs are kept by another app, which vendors may not import.
    """
    _asked.append(whoever)


def removal_refusal(
    credential: str, old: Collection[str], new: Collection[str], vendor: str = ""
) -> str:
    """Return why a credential, or for `vendor` its next one, may not have the keys `new` instead of
    `old`; '' if it may.
    """
    removed = [name for name in old if name not in new]
    if not removed:
        return ""
    used = {name for each in _asked for name in each(credential, removed, vendor)}
    sentence = OF_VENDOR if vendor else OF_CREDENTIAL
    return sentence.format(names=" and ".join(sorted(used))) if used else ""
