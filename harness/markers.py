"""Finds the tests that start processes, so that `script/test --fast` can leave them out.

The code of a test, of its fixtures and of the helpers that both call is searched for names that
stand for a way to start a process.
"""

import multiprocessing
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from inspect import isclass, isfunction, unwrap
from types import CodeType
from typing import Any

import pytest

from harness.valkey import Valkey

STARTERS = (subprocess, multiprocessing)
HELPERS = ("harness", "chaos", "loadtest", "tests", "conftest")
QUICK = (Valkey,)  # one for all tests, within 50 ms


def starts_processes(item: pytest.Item) -> bool:
    functions = [getattr(item, "function", None)]
    fixtures = getattr(item, "_fixtureinfo", None)
    if fixtures is not None:
        functions += [each.func for found in fixtures.name2fixturedefs.values() for each in found]
    return any(_reaches_starter(unwrap(each)) for each in functions if isfunction(each))


@cache
def _reaches_starter(function: Callable[..., Any]) -> bool:
    seen: set[Any] = set()
    pending: list[Any] = [function]
    while pending:
        current = pending.pop()
        if current in STARTERS:
            return True
        if current in seen or current in QUICK or not _is_helper(current):
            continue
        seen.add(current)
        pending += _references(current)
    return False


def _is_helper(value: Any) -> bool:
    """Whether this is a function or class of the tests or of the tools, and not of the product."""
    if not (isfunction(value) or isclass(value)):
        return False
    return bool({*value.__module__.split(".")} & {*HELPERS})


def _references(value: Any) -> Iterator[Any]:
    """Yield the objects that the code of a function or class names."""
    if isclass(value):
        yield from value.__bases__
        members = (getattr(each, "fget", each) for each in vars(value).values())
        yield from (each for each in members if isfunction(each))
        return
    for name in _names(value.__code__):
        found = value.__globals__.get(name)
        if found in STARTERS or isfunction(found) or isclass(found):
            yield unwrap(found) if isfunction(found) else found


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
