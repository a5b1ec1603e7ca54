"""The adapter of vendors that are called as their definition says, without code of their own."""

from collections.abc import Mapping
from typing import Any

from vendors.adapters.answers import Answer
from vendors.base import (
    ANY_KEY,
    Accepted,
    Access,
    Adapter,
    Call,
    Done,
    Outcome,
    Reply,
    VendorError,
    VendorSettings,
)
from vendors.definitions.compiled import Endpoint, compile_definition
from vendors.definitions.expressions.budget import TooMuchWorkError
from vendors.definitions.reading import scope_of
from vendors.definitions.request import Request
from vendors.definitions.templates.text import UnfillableError
from vendors.http.call import request as send

IDEMPOTENCY_KEY = "Idempotency-Key"


class HttpAdapter(Adapter):
    def __init__(self, vendor: VendorSettings) -> None:
        """Raises DefinitionFaults if the definition can't be used."""
        super().__init__(vendor)
        credential = vendor.credential.definition if vendor.credential else None
        self._definition = compile_definition(vendor.url, vendor.definition, credential=credential)

    def call(self, call: Call) -> Done | Accepted:
        endpoint = self._definition.call
        is_named = endpoint.request.sets_header(IDEMPOTENCY_KEY)
        key = {} if is_named else {IDEMPOTENCY_KEY: call.idempotency_key}
        return self._answer(endpoint, call, key).done_or_accepted()

    def poll(self, call: Call) -> Done | Accepted:
        if self._definition.poll is None:
            raise NotImplementedError
        # Without the key of the call: a vendor that knows it may repeat what it answered then.
        return self._answer(self._definition.poll, call).done_or_accepted()

    def check(self, access: Access) -> Done:
        """The result has `credits`: what is left on the account, or None if that is not known."""
        if self._definition.check is None:
            raise NotImplementedError
        answer = self._answer(self._definition.check, None, access=access)
        answer.done_or_accepted(needs_result=False)
        return Done({"credits": answer.credits})

    def read_callback(self, payload: dict[str, Any]) -> Done | Accepted:
        callback = self._definition.callback
        if callback.asks:
            return Accepted()
        return Answer(callback.reader, {"body": payload}).done_or_accepted()

    def callback_reference(self, payload: dict[str, Any], headers: Mapping[str, str]) -> str:
        try:
            return self._definition.callback.reference_in(payload, headers)
        except TooMuchWorkError:
            return ""

    def _answer(
        self,
        endpoint: Endpoint,
        call: Call | None,
        headers: Mapping[str, str] | None = None,
        *,
        access: Access = ANY_KEY,
    ) -> Answer:
        """Make a request, and return what the vendor answered. Raises VendorError if it did not."""
        access = call.access if call else access
        reply = self._reply(self._request(endpoint, call, access), headers or {})
        scope = scope_of(call) if call else {}
        return Answer(endpoint.reader, scope, reply, self.vendor.redacted_fields)

    def _request(self, endpoint: Endpoint, call: Call | None, access: Access) -> Request:
        if fault := self.vendor.credential_fault:
            raise VendorError("api_key_missing", fault, sent=False)
        try:
            request = endpoint.build(call)
        except UnfillableError as error:
            sentence = f"The request can't be made from the job's input. {error}"
            raise VendorError(Outcome.INVALID_INPUT, sentence, permanent=True, sent=False) from None
        if self.vendor.credential is None:
            return request
        try:
            reference = call.reference if call else ""
            filled: Request = self.vendor.credential.apply(request, access, reference)
        except ValueError as error:
            raise VendorError("api_key_missing", str(error), sent=False) from None
        return filled

    def _reply(self, request: Request, headers: Mapping[str, str]) -> Reply:
        url, own_headers, body = request.encoded()
        return send(
            request.method,
            url,
            headers={**headers, **own_headers},
            body=body,
            timeout_seconds=self.vendor.timeout_seconds,
            # A kept connection may have been closed unnoticed, which would needlessly leave the
            # outcome unknown.
            fresh_connection=not self.vendor.repeat_unknown,
            outbound=self.vendor.outbound,
        )
