"""Makes what an adapter says besides its result fit to be stored.

A cost that is no number is left out, because the answer may have been paid for.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from vendors.base import MAX_REFERENCE_LENGTH, Accepted, Done, VendorError
from vendors.definitions.expressions.functions import number_of
from vendors.http.waits import MAX_CREDITS_WAIT
from vendors.payloads.masking import masked, spellings

log = logging.getLogger(__name__)


def numbers(answer: Done, vendor: object) -> tuple[float | None, float | None]:
    """Return cost and confidence."""
    if answer.cost is None and answer.confidence is None:
        return None, None
    return _number(answer, "cost", vendor), _number(answer, "confidence", vendor)


def accepted(answer: Accepted, vendor: object) -> Accepted:
    if answer.cost is None and answer.retry_after is None:
        return answer
    cost, retry_after = _number(answer, "cost", vendor), _wait(answer, vendor)
    return replace(answer, cost=cost, retry_after=retry_after)


def error(answer: VendorError, vendor: object, secrets: Iterable[str]) -> VendorError:
    """`secrets`: which its message must not repeat, empty ones aside."""
    hidden = [spelling for secret in secrets if secret for spelling in spellings(secret)]
    answer.code, answer.message = _text(answer.code), masked(_text(answer.message), hidden)
    answer.cost, answer.retry_after = _number(answer, "cost", vendor), _wait(answer, vendor)
    return answer


def is_reference(value: object) -> bool:
    """Whether a vendor's reference can be stored; '' is none."""
    if not isinstance(value, str) or len(value) > MAX_REFERENCE_LENGTH:
        return False
    return value.isascii() or _text(value) == value


def _number(answer: Any, name: str, vendor: object) -> float | None:
    value = getattr(answer, name)
    number = number_of(value)
    if value is None or number is not None:
        return number
    log.error("the adapter of %s named a %s that is no number; it is left out", vendor, name)
    return None


def _wait(answer: Any, vendor: object) -> timedelta | None:
    value = answer.retry_after
    if value is None:
        return None
    if isinstance(value, timedelta):
        return min(max(value, timedelta()), MAX_CREDITS_WAIT)
    log.error("the adapter of %s named a retry_after that is no timedelta", vendor)
    return None


def _text(text: str) -> str:
    """Return the text without lone surrogates, which no store can keep."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
