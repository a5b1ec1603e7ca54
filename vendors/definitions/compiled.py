"""A vendor's definition, checked and ready to use."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vendors.base import Call, Outcome
from vendors.definitions.callback import parse_proof
from vendors.definitions.checking import (
    check_hosts,
    check_inputs,
    check_known,
    check_together,
)
from vendors.definitions.expressions.budget import Budget
from vendors.definitions.expressions.expression import Expression
from vendors.definitions.faults import DefinitionFaults, Faults
from vendors.definitions.names import Compiler, Names, of_answer, of_callback, of_check, of_request
from vendors.definitions.reading import Reader, reference_of, scope_of
from vendors.definitions.request import Request
from vendors.definitions.rules import compile_rules, compile_signs
from vendors.definitions.templates.address import Address
from vendors.definitions.templates.request import RequestTemplate, compile_request


@dataclass(frozen=True)
class Endpoint:
    """A request of the vendor's API, and how to read the answer."""

    request: RequestTemplate
    reader: Reader

    def build(self, call: Call | None) -> Request:
        """Raises UnfillableError if the job's values don't fit the request."""
        return self.request.fill(scope_of(call) if call else {})


@dataclass(frozen=True)
class CallbackReading:
    """`asks`: the callback has no result, or is not believed, so the vendor is polled."""

    reader: Reader
    asks: bool
    reference: Expression | None

    def reference_in(self, body: Any, headers: Mapping[str, str]) -> str:
        """Return the reference in a callback for the whole account; '' if there is none."""
        lower = {name.lower(): value for name, value in headers.items()}
        if self.reference is None:
            return ""
        return reference_of(self.reference.evaluate({"body": body, "headers": lower}, Budget()))


@dataclass(frozen=True)
class Definition:
    """`poll` and `check` are None if there is no such request."""

    call: Endpoint
    poll: Endpoint | None
    check: Endpoint | None
    callback: CallbackReading

    @property
    def addresses(self) -> dict[str, Address]:
        """The address of each request, by its key."""
        requests = {"url": self.call, "poll.url": self.poll, "check.url": self.check}
        return {key: made.request.address for key, made in requests.items() if made}


def compile_definition(
    url: str, definition: Mapping[str, Any], *, credential: Mapping[str, Any] | None = None
) -> Definition:
    """Return what the definition of a vendor with this `url` says.

    credential: the definition of the credential that it names. Raises DefinitionFaults with all
    faults.
    """
    faults = Faults()
    if not isinstance(definition, Mapping):
        raise DefinitionFaults({"": "The definition must be a table."})
    check_known(definition, faults)
    compilation = _Compilation(url, definition, faults)
    compiled = compilation.run()
    check_together(definition, credential, compilation.used, faults)
    if compiled and credential:
        check_hosts(compiled.addresses, credential, faults)
    if faults or compiled is None:
        raise DefinitionFaults(faults)
    return compiled


class _Compilation:
    """Compiles the parts one by one. `used` has what the expressions of each part look up."""

    def __init__(self, url: object, definition: Mapping[str, Any], faults: Faults) -> None:
        self.url, self.definition, self.faults = url, definition, faults
        self.inputs = check_inputs(definition.get("input"), faults)
        self.used: dict[str, set[Any]] = {}
        self.poll = self._table("poll")
        self.check = self._table("check")
        self.callback = self._table("callback")

    def run(self) -> Definition | None:
        declares = isinstance(self.definition.get("input"), Mapping)
        declared = frozenset(self.inputs) if declares else None
        names = of_request(declared)
        poll_names = of_request(declared, is_poll=True)
        # What a rule of the vendor says about an answer to its call also counts for its polls.
        answer = Compiler(self.faults, of_answer(names if self.poll is None else poll_names))
        self._check_proof()
        call = self._call(names, answer)
        poll = self._poll(poll_names, answer, call)
        check = self._check()
        callback = self._callback(call)
        if self.faults or call is None:
            return None
        return Definition(call, poll, check, callback)

    def _table(self, name: str) -> Mapping[str, Any] | None:
        value = self.definition.get(name)
        return None if value is None else self.faults.table(value, name)

    def _check_proof(self) -> None:
        if self.callback is None:
            return
        try:
            parse_proof(self.callback)
        except DefinitionFaults as error:
            for key, message in error.faults.items():
                self.faults.note(key, message)

    def _call(self, names: Names, answer: Compiler) -> Endpoint | None:
        request = self._request(self.definition, self.url, "", names)
        reader = Reader(
            rules=compile_rules(self.definition.get("outcomes"), "outcomes", answer),
            accepts="reference" in self.definition or self.callback is not None,
            polls=self.poll is not None,
            result=answer.of(self.definition, "result"),
            reference=answer.of(self.definition, "reference"),
            confidence=answer.of(self.definition, "confidence"),
            cost=answer.of(self.definition, "cost"),
        )
        return Endpoint(request, reader) if request else None

    def _poll(self, names: Names, answer: Compiler, call: Endpoint | None) -> Endpoint | None:
        if self.poll is None:
            return None
        pending, restart = (
            compile_signs(self.poll.get(key), f"poll.{key}", answer, outcome)
            for key, outcome in (
                ("pending", Outcome.PENDING),
                ("restart", Outcome.VENDOR_ERROR),
            )
        )
        result = answer.of(self.poll, "result", "poll")
        request = call.request if call else None
        if "url" in self.poll:
            request = self._request(self.poll, self.poll["url"], "poll", names)
        if request is None or call is None:
            return None
        reader = replace(
            call.reader, pending=pending, restart=restart, accepts=False, reference=None
        )
        if result:
            reader = replace(reader, result=result, result_key="poll.result")
        return Endpoint(request, reader)

    def _check(self) -> Endpoint | None:
        if self.check is None or "check" in self.faults:
            return None
        names = of_check()
        if "url" not in self.check:
            self.faults.note("check.url", "This key is required.")
        answer = Compiler(self.faults, of_answer(names))
        reader = Reader(
            rules=compile_rules(self.check.get("outcomes"), "check.outcomes", answer),
            credits=answer.of(self.check, "credits", "check"),
        )
        request = self._request(self.check, self.check.get("url"), "check", names)
        return Endpoint(request, reader) if request else None

    def _callback(self, call: Endpoint | None) -> CallbackReading:
        table = self.callback or {}
        compiler = Compiler(self.faults, of_callback())
        reference = compiler.of(table, "reference", "callback")
        own = compiler.of(table, "result", "callback")
        base = call.reader if call else Reader()
        reader = Reader(
            rules=base.rules,  # those about a status do not fit, because there is none
            result=own or base.result,
            result_key="callback.result" if own else "result",
            confidence=base.confidence,
            cost=base.cost,
        )
        asks = bool(table.get("thin") or table.get("confirm"))
        return CallbackReading(reader, asks, reference)

    def _request(
        self, table: Mapping[str, Any], url: object, path: str, names: Names
    ) -> RequestTemplate | None:
        compiler = Compiler(self.faults, names)
        self.used[path] = compiler.used
        return compile_request(table, url, path, compiler)
