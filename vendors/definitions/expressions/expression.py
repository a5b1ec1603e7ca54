"""Compiled expressions, and what they refer to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from jmespath.exceptions import IncompleteExpressionError, ParseError

from vendors.definitions.expressions.budget import Budget, TooMuchWorkError, size_of
from vendors.definitions.expressions.functions import Functions
from vendors.definitions.expressions.interpreter import Interpreter, Node

REMEDIES = {
    "=": "Compare with ==, as in body.status == 'done'.",
    "$": "JMESPath has no $. Begin with a name, as in body.person.",
}
MAX_LENGTH = 1000
MAX_DEPTH = 50
# An expression of these only selects from what it is given, so its value needs no limit.
SELECTING = frozenset(
    {
        *("field", "subexpression", "index_expression", "index", "pipe", "current", "identity"),
        *("literal", "or_expression", "and_expression", "not_expression", "comparator"),
    }
)
FIRST_AT_ROOT = frozenset(
    {
        *("subexpression", "index_expression", "pipe"),
        *("projection", "value_projection", "filter_projection"),
    }
)


@dataclass(frozen=True)
class Name:
    """A name that an expression looks up at the root, such as `input`, and the one below it."""

    root: str
    field: str | None = None


@dataclass(frozen=True)
class Expression:
    text: str
    tree: Node
    names: frozenset[Name]
    selects: bool

    def evaluate(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Return a JSON value; None also if a function does not fit its arguments.

        Raises TooMuchWorkError.
        """
        try:
            value = Interpreter(budget).visit(self.tree, scope)
            if not self.selects:
                budget.spend_text(size_of(value))
        except (ValueError, TypeError, ArithmeticError, OSError):
            return None
        return value


def compile_expression(text: object) -> Expression:
    """Raises ValueError with a sentence."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError('Must be an expression, such as "body.data".')
    if len(text) > MAX_LENGTH:
        raise ValueError(f"The expression has {len(text)} characters. Use at most {MAX_LENGTH}.")
    tree = _parse(text)
    nodes = list(_nodes(tree))
    for node in nodes:
        _check(node)
    selects = all(node["type"] in SELECTING for node in nodes)
    return Expression(text, tree, frozenset(_names(tree)), selects)


def is_true(value: Any) -> bool:
    """Whether JMESPath takes a value as true: all but null, false and what is empty."""
    return value is not None and value is not False and value not in ("", [], {})


def _parse(text: str) -> Node:
    try:
        tree: Node = jmespath.compile(text).parsed
    except ParseError as error:
        if isinstance(error, IncompleteExpressionError) or error.token_value == "":
            raise ValueError("The expression is incomplete. Complete it.") from None
        raise ValueError(_not_jmespath(error)) from None
    except RecursionError:
        raise ValueError(_too_deep()) from None
    except ValueError:  # a number with too many digits
        raise ValueError("Not a JMESPath expression. Correct its numbers and quotes.") from None
    return tree


def _not_jmespath(error: ParseError) -> str:
    found = str(error.token_value)[:40]
    quotes = 'A name with other characters than letters, digits and _ needs quotes: "x-id".'
    remedy = REMEDIES.get(found.strip("'"), quotes)
    if found.isdigit():
        remedy = f"A number stands in backticks: `{found}`."
    return f"Not JMESPath: see character {error.lex_position + 1}, at {found!r}. {remedy}"


def _nodes(tree: Node) -> Iterator[Node]:
    """Yield all nodes. Raises ValueError if they are nested too deeply for recursive code."""
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(_too_deep())
        yield from level
        level = [child for node in level for child in _children(node)]


def _children(node: Node) -> list[Node]:
    return [] if node["type"] == "slice" else node["children"]


def _too_deep() -> str:
    return f"The expression is nested too deeply. Use at most {MAX_DEPTH} levels."


def _check(node: Node) -> None:
    if node["type"] == "slice" and 0 in node["children"][2:]:
        raise ValueError("A slice can't have the step 0. Use another one.")
    is_path = node["type"] in ("subexpression", "index_expression")
    if is_path and node["children"][0]["type"] == "not_expression":
        # It would be null, whatever the answer is.
        raise ValueError("! binds more tightly than a dot. Use brackets, as in !(body.ready).")
    if node["type"] == "literal":
        try:
            size_of(node["value"])
        except (TooMuchWorkError, ValueError):
            raise ValueError("A literal must be JSON. Use finite numbers.") from None
    if node["type"] == "function_expression":
        _check_function(node["value"], len(node["children"]))


def _check_function(name: str, count: int) -> None:
    functions = Functions.FUNCTION_TABLE
    if name not in functions:
        known = ", ".join(sorted(functions))
        raise ValueError(f"There is no function {name}. The known ones are {known}.")
    arguments = functions[name]["signature"]
    is_variadic = bool(arguments[-1].get("variadic"))
    if count < len(arguments) or (count > len(arguments) and not is_variadic):
        least = "at least " if is_variadic else ""
        plural = "" if len(arguments) == 1 else "s"
        raise ValueError(f"The function {name} takes {least}{len(arguments)} argument{plural}.")


def _names(node: Node) -> Iterator[Name]:
    """Yield the names that are looked up at the root."""
    kind, children = node["type"], _children(node)
    if kind == "field":
        yield Name(node["value"])
    elif kind == "subexpression" and [child["type"] for child in children[:2]] == ["field"] * 2:
        yield Name(children[0]["value"], children[1]["value"])
    elif kind in FIRST_AT_ROOT:
        # A first @ is the root itself, so what follows is looked up there as well.
        is_root = children[0]["type"] in ("current", "identity")
        for child in children[: 2 if is_root and kind in ("subexpression", "pipe") else 1]:
            yield from _names(child)
    elif kind != "expref":  # what it refers to is evaluated for each element of a list
        for child in children:
            yield from _names(child)
