"""Text with placeholders, and JSON with such texts in it."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vendors.definitions.expressions.budget import Budget
from vendors.definitions.expressions.expression import Expression
from vendors.definitions.faults import path_of
from vendors.definitions.names import Compiler
from vendors.payloads import exact

LITERAL_BRACE = "A literal brace is written twice: {{ or }}."
QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:\\.|[^`\\])*`")
QUOTES = frozenset("'\"`")
LITERAL = re.compile(r"(?:[^{}]|\{\{|\}\})+")
# {{input.email}}, as other languages of templates have it
DOUBLE_BRACES = re.compile(r"\{\{\s*(?:input|job|call|ref|status|headers|body)\s*[.\[}][^{}]*")
MAX_LEVELS = 50
Template = Any  # JSON in which each text is a Text


class UnfillableError(ValueError):
    """The request can't be made for this job. The sentence has no values of the job."""


@dataclass(frozen=True)
class Text:
    """`pieces` are literal texts and expressions, in turn. `key` is where it stands."""

    key: str
    pieces: tuple[str | Expression, ...]

    def fill(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Return a JSON value; None if a placeholder is null. Raises UnfillableError."""
        if len(self.pieces) == 1 and isinstance(self.pieces[0], Expression):
            return self.pieces[0].evaluate(scope, budget)
        texts = []
        for piece in self.pieces:
            value = piece.evaluate(scope, budget) if isinstance(piece, Expression) else piece
            if value is None:
                return None
            texts.append(text_of(value, self.key))
        text = "".join(texts)
        budget.spend_text(len(text))
        return text


def text_of(value: Any, key: str) -> str:
    """Return a string or a number as text. Raises UnfillableError for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnfillableError(f"{key} needs text or a number, and its placeholder has neither.")
    return exact.write(value)


def parse(text: str, key: str, compiler: Compiler) -> Text:
    """Raises ValueError with a sentence."""
    pieces: list[str | Expression] = []
    for piece, is_expression in _pieces(text):
        pieces.append(compiler.checked(piece) if is_expression else piece)
    return Text(key, tuple(pieces or [""]))


def compile_value(value: Any, key: str, compiler: Compiler, level: int = 0) -> Template:
    """Return the template of a JSON value. Its faults are noted."""
    if level > MAX_LEVELS:
        compiler.faults.note(key, f"Is nested too deeply. Use at most {MAX_LEVELS} levels.")
        return None
    match value:
        case str():
            with compiler.faults.at(key):
                return parse(value, key, compiler)
        case dict():
            return {
                _plain(name, path_of(key, name), compiler): compile_value(
                    item, path_of(key, name), compiler, level + 1
                )
                for name, item in value.items()
            }
        case list():
            return [
                compile_value(item, f"{key}[{index}]", compiler, level + 1)
                for index, item in enumerate(value)
            ]
        case float() if not math.isfinite(value):
            compiler.faults.note(key, "Must be a finite number.")
        case None | bool() | int() | float():
            return value
        case _:
            compiler.faults.note(key, "Must be JSON. Write a date or a time as text in quotes.")
    return None


def fill(template: Template, scope: Mapping[str, Any], budget: Budget) -> Any:
    """Return the JSON value of a template, without what is null. Raises UnfillableError."""
    match template:
        case Text():
            return template.fill(scope, budget)
        case dict():
            filled = ((name, fill(item, scope, budget)) for name, item in template.items())
            return {name: value for name, value in filled if value is not None}
        case list():
            values = (fill(item, scope, budget) for item in template)
            return [value for value in values if value is not None]
    return template


def _plain(name: str, key: str, compiler: Compiler) -> str:
    if "{" in name or "}" in name:
        compiler.faults.note(key, "A name can't have a placeholder. Use one in its value.")
    return name


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a text, and whether each is an expression."""
    position = 0
    while position < len(text):
        if literal := LITERAL.match(text, position):
            _check_braces(literal[0])
            yield literal[0].replace("{{", "{").replace("}}", "}"), False
            position = literal.end()
        elif text[position] == "}":
            raise ValueError(f"There is a }} without its {{. {LITERAL_BRACE}")
        else:
            end = _end(text, position + 1)
            yield text[position + 1 : end], True
            position = end + 1


def _check_braces(literal: str) -> None:
    if found := DOUBLE_BRACES.search(literal):
        placeholder = found[0].strip("{} \n")
        raise ValueError(f"Use single braces for a placeholder: {{{placeholder}}}.")


def _end(text: str, start: int) -> int:
    """Return where the placeholder ends whose expression starts here."""
    position, depth = start, 0
    while position < len(text):
        if text[position] in QUOTES:
            if not (quoted := QUOTED.match(text, position)):
                raise ValueError("A placeholder has an opening quote without its closing one.")
            position = quoted.end()
            continue
        if text[position] == "}" and not depth:
            return position
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    raise ValueError(f"A placeholder is not closed with }}. {LITERAL_BRACE}")
