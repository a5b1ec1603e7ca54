"""The names that an expression may look up, which depend on where it stands."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from vendors.definitions.expressions.expression import Expression, Name, compile_expression
from vendors.definitions.faults import Faults

JOB = frozenset({"id"})
CALL = frozenset({"id", "idempotency_key", "callback_url"})
SECRETS = frozenset({"credential", "credentials", "env", "environ", "key", "secret", "secrets"})
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+")
INVISIBLE = (
    "An expression can't see {}: neither secrets nor environment variables. "
    "Put the key into a table [credentials.NAME], and name that as `credential`."
)


@dataclass(frozen=True)
class Names:
    """`known` has each name, with the names below it; None: any. Without names, no placeholder
    makes sense.
    """

    known: Mapping[str, frozenset[str] | None]

    def check(self, name: Name) -> None:
        """Raises ValueError with a sentence."""
        if name.root not in self.known:
            raise ValueError(self._why_not(name.root))
        below = self.known[name.root]
        if name.field is None or below is None or name.field in below:
            return
        if name.root == "input":
            raise ValueError(f"The field {name.field} is not declared. Add it to `input`.")
        raise ValueError(
            f"There is no {name.root}.{name.field}. {name.root} has {_listed(sorted(below))}."
        )

    def _why_not(self, root: str) -> str:
        if root in SECRETS or VARIABLE.fullmatch(root):
            return INVISIBLE.format(root)
        if root == "ref":
            return "ref is known only in a poll. Use it below `poll`."
        if not self.known:
            return "A check has no placeholders, because it is for no job. Write the value itself."
        sees = f"An expression here sees {_listed(self.known)}"
        meant = f"Did you mean {self._meant(root)}?"
        return f"There is no {root}. {meant} {sees}; text stands in single quotes."

    def _meant(self, root: str) -> str:
        """Return a name like this one, else the field of this name where most fields are."""
        if near := get_close_matches(root, self.known, n=1):
            return near[0]
        declared = self.known.get("input")
        is_input = "body" not in self.known or (declared and root in declared)
        return f"input.{root}" if is_input else f"body.{root}"


def of_request(inputs: frozenset[str] | None, *, is_poll: bool = False) -> Names:
    """`inputs`: the fields that the definition declares; None if it declares none."""
    known = {"input": inputs, "job": JOB, "call": CALL}
    return Names({**known, "ref": None} if is_poll else known)


def of_check() -> Names:
    """A check belongs to no job."""
    return Names({})


def of_answer(request: Names) -> Names:
    return Names({"status": None, "headers": None, "body": None, **request.known})


def of_callback() -> Names:
    """A callback is read before its job is known."""
    return Names({"headers": None, "body": None})


@dataclass
class Compiler:
    """Compiles the expressions of one place, and notes their faults and what they refer to."""

    faults: Faults
    names: Names
    used: set[Name] = field(default_factory=set)

    def expression(self, text: object, key: str) -> Expression | None:
        """Return None if the expression is not given, or if it has a fault."""
        if text is None:
            return None
        with self.faults.at(key):
            return self.checked(text)
        return None

    def of(self, table: Mapping[str, Any], name: str, path: str = "") -> Expression | None:
        """Return the expression with this name in a table."""
        return self.expression(table.get(name), f"{path}.{name}" if path else name)

    def checked(self, text: object) -> Expression:
        """Raises ValueError with a sentence."""
        expression = compile_expression(text)
        for name in sorted(expression.names, key=str):
            self.names.check(name)
            _check_header(name)
        self.used |= expression.names
        return expression


def _check_header(name: Name) -> None:
    if name.root == "headers" and name.field and name.field != name.field.lower():
        lower = name.field.lower()
        raise ValueError(f'Names of headers are in lower case here: write headers."{lower}".')


def _listed(names: Iterable[str]) -> str:
    *most, last = names if names else ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last
