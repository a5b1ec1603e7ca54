"""Which outcome an answer has: the first rule that fits, else the one of its status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vendors.base import Outcome
from vendors.definitions.expressions.budget import Budget
from vendors.definitions.expressions.expression import Expression, is_true
from vendors.definitions.faults import Faults, did_you_mean
from vendors.definitions.names import Compiler
from vendors.http.statuses import outcome_of

RULE_KEYS = ("status", "when", "is")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
NOT_A_STATUS = 'Must be a status such as 404, a class such as "5xx", or a list of them.'
MAX_RULES = 50
MAX_SHOWN = 80


class Decision(NamedTuple):
    """`key` is that of the rule, such as outcomes[1], or "default"; `rule` says it in full."""

    outcome: Outcome
    key: str
    rule: str


@dataclass(frozen=True)
class Rule:
    """`statuses` and `when` must both hold, if given."""

    key: str
    outcome: Outcome
    statuses: frozenset[int] | None
    when: Expression | None
    text: str

    def fits(self, scope: Mapping[str, Any], budget: Budget) -> bool:
        if self.statuses is not None and scope.get("status") not in self.statuses:
            return False
        return self.when is None or is_true(self.when.evaluate(scope, budget))

    @property
    def decision(self) -> Decision:
        return Decision(self.outcome, self.key, self.text)


def first_that_fits(
    rules: Iterable[Rule], scope: Mapping[str, Any], budget: Budget
) -> Decision | None:
    return next((rule.decision for rule in rules if rule.fits(scope, budget)), None)


def by_status(status: int, *, has_retry_after: bool) -> Decision:
    """Return what a status means where no rule says so."""
    outcome = outcome_of(status, has_retry_after=has_retry_after)
    is_cause = outcome == Outcome.RATE_LIMITED and status != 429
    cause = " with retry-after" if is_cause else ""
    return Decision(outcome, "default", f"default: status {status}{cause} is {outcome}")


def compile_rules(value: object, key: str, compiler: Compiler) -> tuple[Rule, ...]:
    """Return the rules without faults."""
    rules = (
        _rule(table, f"{key}[{index}]", compiler)
        for index, table in enumerate(_tables(value, key, compiler.faults))
    )
    return tuple(rule for rule in rules if rule)


def compile_signs(
    value: object, key: str, compiler: Compiler, outcome: Outcome
) -> tuple[Rule, ...]:
    """Return the rules of a list that itself says what they mean."""
    found = []
    for index, table in enumerate(_tables(value, key, compiler.faults)):
        path = f"{key}[{index}]"
        if isinstance(table, Mapping) and "is" in table:
            compiler.faults.note(f"{path}.is", "Remove it: all rules of this list mean the same.")
            continue
        given = {**table, "is": outcome} if isinstance(table, Mapping) else table
        found.append(_rule(given, path, compiler))
    return tuple(rule for rule in found if rule)


def _tables(value: object, key: str, faults: Faults) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        faults.note(key, "Must be a list of rules: [{ status = 404 }].")
        return []
    if len(value) > MAX_RULES:
        faults.note(key, f"Use at most {MAX_RULES} rules.")
        return []
    return value


def _rule(table: object, key: str, compiler: Compiler) -> Rule | None:
    faults, count = compiler.faults, len(compiler.faults)
    if not isinstance(table, Mapping):
        faults.note(key, 'Must be a rule, such as { status = 404, is = "no_data" }.')
        return None
    faults.note_unknown(table, RULE_KEYS, key)
    if "status" not in table and "when" not in table:
        faults.note(key, "A rule needs status or when. Add one of them.")
    if table.get("is") not in list(Outcome):
        missing = "" if "is" in table else "This key is required. "
        meant = missing or did_you_mean(table["is"], Outcome)
        faults.note(f"{key}.is", f"{meant}Must be one of {', '.join(Outcome)}.")
    statuses = None
    with faults.at(f"{key}.status"):
        statuses = _statuses(table["status"]) if "status" in table else None
    when = compiler.expression(table.get("when"), f"{key}.when")
    if len(faults) > count:
        return None
    return Rule(key, Outcome(table["is"]), statuses, when, _text(table, key))


def _statuses(value: object) -> frozenset[int]:
    each = value if isinstance(value, list) else [value]
    if not each:
        raise ValueError(NOT_A_STATUS)
    found: set[int] = set()
    for status in each:
        if isinstance(status, str) and status in CLASSES:
            first = 100 * int(status[0])
            found |= set(range(first, first + 100))
        elif type(status) is int and 100 <= status <= 599:
            found.add(status)
        else:
            raise ValueError(NOT_A_STATUS)
    return frozenset(found)


def _text(table: Mapping[str, Any], key: str) -> str:
    parts = []
    if "status" in table:
        status = table["status"]
        parts.append(
            f"status {', '.join(map(str, status if isinstance(status, list) else [status]))}"
        )
    if "when" in table:
        parts.append(f"when {table['when'][:MAX_SHOWN]}")
    return f"{key}: {', '.join(parts)} is {table['is']}"
