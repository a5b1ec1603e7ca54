"""What one answer of a vendor means: its outcome, and what the expressions find in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from vendors.base import MAX_REFERENCE_LENGTH, Call, Outcome, Reply
from vendors.definitions.expressions.budget import Budget
from vendors.definitions.expressions.expression import Expression
from vendors.definitions.expressions.functions import number_of
from vendors.definitions.rules import Decision, Rule, by_status, first_that_fits
from vendors.http import waits
from vendors.payloads import exact
from vendors.payloads.json_reader import VENDOR_JSON


@dataclass(frozen=True)
class Reader:
    """How to read the answers to one kind of request.

    `accepts`: a 2xx means that the vendor has begun to work; `polls`: a 202 means so. `pending`
    comes before `rules`. `restart` has the signs that the vendor has dropped its work. An
    expression that is None is not looked for, except that `result` is then the body.
    """

    rules: tuple[Rule, ...] = ()
    pending: tuple[Rule, ...] = ()
    restart: tuple[Rule, ...] = ()
    accepts: bool = False
    polls: bool = False
    result: Expression | None = None
    result_key: str = "result"
    reference: Expression | None = None
    confidence: Expression | None = None
    cost: Expression | None = None
    credits: Expression | None = None


class Reading:
    """An answer, read. All its expressions share a budget, so each may raise TooMuchWorkError.

    `scope` has what the expressions see.
    """

    def __init__(self, reader: Reader, scope: Mapping[str, Any]) -> None:
        self.reader = reader
        self._scope = scope
        self._budget = Budget()

    @cached_property
    def decision(self) -> Decision:
        rules = (*self.reader.pending, *self.reader.rules)
        return first_that_fits(rules, self._scope, self._budget) or self._default()

    @cached_property
    def restart(self) -> Decision | None:
        """Why the job must be called again, although the vendor had accepted it."""
        return first_that_fits(self.reader.restart, self._scope, self._budget)

    @cached_property
    def cost(self) -> float | None:
        """What the vendor charged, in its own unit."""
        return number_of(self._value(self.reader.cost))

    @cached_property
    def confidence(self) -> float | None:
        return number_of(self._value(self.reader.confidence))

    @property
    def credits(self) -> float | None:
        """What is left on the vendor's account."""
        return number_of(self._value(self.reader.credits))

    @property
    def result(self) -> Any:
        if self.reader.result is None:
            return self._scope.get("body")
        return self._value(self.reader.result)

    @property
    def reference(self) -> str:
        """What the vendor calls its work; '' if that is no text or number, or too long."""
        return reference_of(self._value(self.reader.reference))

    def _value(self, expression: Expression | None) -> Any:
        return expression.evaluate(self._scope, self._budget) if expression else None

    def _default(self) -> Decision:
        status = self._scope.get("status")
        if status is None:
            return Decision(Outcome.FOUND, "default", "default: a callback is found")
        is_pending = self.reader.accepts or (self.reader.polls and status == 202)
        if is_pending and 200 <= status <= 299:
            rule = f"default: status {status} is pending"
            return Decision(Outcome.PENDING, "default", rule)
        wait = waits.retry_after(self._scope.get("headers") or {}, datetime.now(UTC))
        return by_status(status, has_retry_after=wait is not None)


def scope_of(call: Call) -> dict[str, Any]:
    """Return what the expressions of a request see."""
    return {
        "input": call.input,
        "job": {"id": call.job_id},
        "call": {
            "id": call.idempotency_key,
            "idempotency_key": call.idempotency_key,
            "callback_url": call.callback_url,
        },
        "ref": call.reference or None,
    }


def scope_of_reply(reply: Reply, body: Any) -> dict[str, Any]:
    """Return what the expressions about an answer see, besides those of the request."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return {"status": reply.status, "headers": headers, "body": body}


def body_of(reply: Reply) -> tuple[Any, bool]:
    """Return the body as JSON, else as text, and whether it is JSON; None if it is empty."""
    if not reply.body.strip():
        return None, True
    try:
        return VENDOR_JSON.read(reply.body), True
    except ValueError:
        return reply.body.decode("utf-8", "replace"), False


def reference_of(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = value if isinstance(value, str) else exact.write(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no store can keep
        return ""
    return text if len(text) <= MAX_REFERENCE_LENGTH else ""
