"""The functions of expressions: those of JMESPath, and a few of our own."""

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from jmespath import functions
from jmespath.functions import signature

from vendors.definitions.expressions.budget import Budget
from vendors.payloads import exact
from vendors.payloads.exact import ExactFloat

Types = dict[str, list[str]]
TEXT: Types = {"types": ["string"]}
ANY: Types = {"types": []}
# They do not go through their arguments.
CHEAP = frozenset({"length", "type", "not_null", "to_array", "to_string", "contains"})
STEPS_A_CALL = 5
MAX_SECONDS = 1e11  # a later time in seconds is one in milliseconds


class Functions(functions.Functions):
    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        self.budget.spend(STEPS_A_CALL)
        if function_name not in CHEAP:
            for argument in resolved_args:
                self.budget.spend_argument(argument)
        return super().call_function(function_name, resolved_args)

    def _get_allowed_pytypes(self, types: Sequence[str]) -> tuple[list[str], list[Sequence[str]]]:
        allowed, of_elements = super()._get_allowed_pytypes(types)
        return _with_exact(allowed), [_with_exact(names) for names in of_elements]

    def _convert_to_jmespath_type(self, pyobject: str) -> Any:
        name = "float" if pyobject == ExactFloat.__name__ else pyobject
        return super()._convert_to_jmespath_type(name)

    @signature(TEXT)
    def _func_lower(self, text: str) -> str:
        return text.lower()

    @signature(TEXT, TEXT)
    def _func_split(self, text: str, separator: str) -> list[str]:
        self.budget.spend(text.count(separator))
        return text.split(separator)

    @signature(TEXT, TEXT, TEXT)
    def _func_replace(self, text: str, old: str, new: str) -> str:
        self.budget.spend_text(text.count(old) * len(new))
        return text.replace(old, new)

    @signature(ANY)
    def _func_number(self, value: Any) -> int | float | None:
        return number_of(value)

    @signature(ANY)
    def _func_to_number(self, value: Any) -> int | float | None:
        return number_of(value)

    @signature({"types": ["string", "number"]})
    def _func_iso_time(self, value: str | float) -> str:
        """A time in ISO 8601, such as 2026-11-02T08:30:00Z, of ISO or of Unix seconds or ms."""
        seconds = number_of(value)
        if seconds is None:
            time = datetime.fromisoformat(str(value))
        else:
            time = datetime.fromtimestamp(
                seconds / 1000 if abs(seconds) > MAX_SECONDS else seconds, UTC
            )
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return time.astimezone(UTC).isoformat().replace("+00:00", "Z")

    @signature(TEXT)
    def _func_sha256(self, text: str) -> str:
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()

    @signature(ANY)
    def _func_to_string(self, value: Any) -> str:
        self.budget.spend_value(value)
        return value if isinstance(value, str) else exact.write(value)

    @signature({"types": ["array", "string"]}, ANY)
    def _func_contains(self, subject: list[Any] | str, wanted: Any) -> bool:
        self.budget.spend_value(subject)
        self.budget.spend_value(wanted)
        if isinstance(subject, str):
            return isinstance(wanted, str) and wanted in subject
        return any(is_equal(item, wanted) for item in subject)

    @signature(TEXT, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        self.budget.spend_text(len(separator) * len(texts))
        return separator.join(texts)


def number_of(value: Any) -> int | float | None:
    """Return a number, or what a text says if it is a number; else None."""
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def is_equal(left: Any, right: Any) -> bool:
    """Whether two values are the same in JSON, where true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _with_exact(names: Sequence[str]) -> list[str]:
    return [*names, ExactFloat.__name__] if "float" in names else [*names]
