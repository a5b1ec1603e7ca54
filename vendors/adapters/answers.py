"""Turns what a vendor answered into Done, Accepted or a VendorError, as its definition says.

Messages name the status and the rule, and nothing that the vendor sent.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from vendors.base import PERMANENT, Accepted, Done, Outcome, Reply, VendorError
from vendors.definitions.expressions.budget import TooMuchWorkError
from vendors.definitions.reading import Reader, Reading, body_of, scope_of_reply
from vendors.http import exchanges, waits
from vendors.replies import names_any

SENTENCES = {
    Outcome.INVALID_INPUT: "The vendor refused this job",
    Outcome.BLOCKED: "The vendor must not answer this job",
    Outcome.RATE_LIMITED: "The vendor is rate limiting us",
    Outcome.NO_CREDITS: "The vendor's account has no credits left",
    Outcome.AUTH: "The vendor denied access; check its credential",
    Outcome.VENDOR_ERROR: "The vendor answered with an error",
    Outcome.TIMEOUT: "The vendor did not finish in time",
}
OUTAGES = (Outcome.VENDOR_ERROR, Outcome.TIMEOUT)
TOO_MUCH_WORK = (
    "The definition's expressions are too much work for this answer{where}. Simplify them."
)
NO_RESULT = (
    "The answer was found{where}, but `{key}` is null in it. Correct `{key}`, or add a rule to "
    "`outcomes`."
)
NOT_JSON = (
    "The answer was found{where}, but is not JSON. If this vendor sends text, set `result` to "
    '"body".'
)
NAMES_REDACTED = (
    "The answer was found{where}, but is not JSON and names a redacted field, so it is not kept."
)
NO_REFERENCE = (
    "The vendor accepted the job{where} and may do the work, but `reference` is no text in its "
    "answer. Correct `reference`."
)


class Answer:
    """The answer to a call, a poll or a check; without a `reply`, a callback."""

    def __init__(
        self,
        reader: Reader,
        scope: dict[str, Any],
        reply: Reply | None = None,
        redacted_fields: frozenset[str] = frozenset(),
    ) -> None:
        self._reply, self._redacted_fields = reply, redacted_fields
        self._text = ""  # the body, if it is not JSON
        if reply:
            body, is_json = body_of(reply)
            self._text = "" if is_json else body
            scope = {**scope, **scope_of_reply(reply, body)}
        self._reading = Reading(reader, scope)

    def done_or_accepted(self, *, needs_result: bool = True) -> Done | Accepted:
        """Raises VendorError."""
        try:
            return self._read(needs_result)
        except TooMuchWorkError:
            sentence = TOO_MUCH_WORK.format(where=self._where())
            raise self._bad_reply(sentence, permanent=True) from None

    @property
    def credits(self) -> float | None:
        return self._reading.credits

    def _read(self, needs_result: bool) -> Done | Accepted:
        outcome, key, rule = self._reading.decision
        cost, restart = self._reading.cost, self._reading.restart
        if restart:
            is_error = outcome not in (Outcome.FOUND, Outcome.NO_DATA, Outcome.PENDING)
            outcome = outcome if is_error else restart.outcome
            exchanges.note_decision(outcome, f"{restart.rule}; the job is called again")
            raise self._error(outcome, restart.key, cost, restart=True)
        exchanges.note_decision(outcome, rule)
        match outcome:
            case Outcome.FOUND:
                result = self._result() if needs_result else None
                return Done(result, cost=cost, confidence=self._reading.confidence)
            case Outcome.NO_DATA:
                confidence = self._reading.confidence
                return Done(None, Outcome.NO_DATA, cost=cost, confidence=confidence)
            case Outcome.PENDING:
                return Accepted(self._reference(), cost, self._wait(outcome))
        raise self._error(outcome, key, cost)

    def _result(self) -> Any:
        if self._text:
            self._check_text()
        result = self._reading.result
        if result is None:
            # Calling again would bring the same, and may be charged again.
            sentence = NO_RESULT.format(where=self._where(), key=self._reading.reader.result_key)
            raise self._bad_reply(sentence, permanent=True)
        return result

    def _check_text(self) -> None:
        """Refuse text that is no result, such as an error page, or can't be redacted."""
        if self._reading.reader.result is None:
            raise self._bad_reply(NOT_JSON.format(where=self._where()), permanent=True)
        if names_any(self._text, self._redacted_fields):
            raise self._bad_reply(NAMES_REDACTED.format(where=self._where()), permanent=True)

    def _reference(self) -> str:
        if self._reading.reader.reference is None:
            return ""
        if not (reference := self._reading.reference):
            # Calling again would have the work done twice, and its answer be lost again.
            sentence = NO_REFERENCE.format(where=self._where())
            raise self._bad_reply(sentence, permanent=True, outcome_known=False)
        return reference

    def _error(
        self, outcome: Outcome, key: str, cost: float | None, *, restart: bool = False
    ) -> VendorError:
        by = "" if key == "default" else f" by {key}"
        return VendorError(
            outcome,
            f"{SENTENCES[outcome]}{self._where(by)}.",
            permanent=outcome in PERMANENT,
            outage=outcome in OUTAGES and not restart,
            retry_after=self._wait(outcome),
            outcome_known=restart or outcome != Outcome.TIMEOUT,
            restart=restart,
            cost=cost,
            reply=self._reply,
        )

    def _bad_reply(
        self, sentence: str, *, permanent: bool = False, outcome_known: bool = True
    ) -> VendorError:
        return VendorError(
            "bad_reply",
            sentence,
            permanent=permanent,
            outcome_known=outcome_known,
            reply=self._reply,
        )

    def _where(self, by: str = "") -> str:
        if self._reply is None:
            return f" (callback{by})"
        return f" (status {self._reply.status}{by})"

    def _wait(self, outcome: Outcome) -> timedelta | None:
        """Return how long the vendor asks to wait, where that ends a pause or delays a poll."""
        if self._reply is None:
            return None
        headers, now = self._reply.headers, datetime.now(UTC)
        longest = waits.MAX_CREDITS_WAIT if outcome == Outcome.NO_CREDITS else waits.MAX_WAIT
        # The reset of a window says when more calls are allowed. A vendor that is out of credits
        # only means its quota by that if it answers 429; a pending one does not mean its work.
        if outcome == Outcome.RATE_LIMITED or (
            outcome == Outcome.NO_CREDITS and self._reply.status == 429
        ):
            return waits.wait_of(headers, now, longest=longest)
        if outcome in (Outcome.NO_CREDITS, Outcome.PENDING):
            return waits.retry_after(headers, now, longest=longest)
        return None
