"""What the result of a complete job must be."""

from collections.abc import Mapping
from typing import Any

from chaos.plans import answer_of, plan_of, run_of
from chaos.polls.plans import NO_DATA


def expected_of(
    seed: int, vendor: str, key: str, *, name: str, serial: int
) -> dict[str, Any] | None:
    """Return what the result of a complete job must contain; None if it must be null."""
    if plan_of(seed, serial, vendor).ending_of(run_of(key)) == NO_DATA:
        return None
    return {"name": name, "serial": serial, "answer": answer_of(seed, key)}


def is_as_expected(result: Any, expected: Mapping[str, Any] | None) -> bool:
    """Whether a result contains what is expected; a strange one contains more."""
    if expected is None or not isinstance(result, dict):
        return expected is None and result is None
    return {name: result.get(name) for name in expected} == expected
