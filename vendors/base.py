"""The interface of a vendor adapter: what it receives, what it returns and what it raises.

Nothing else about a vendor leaves its adapter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from vendors.outbound import Outbound
from vendors.payloads.json_reader import VENDOR_JSON


class Outcome(StrEnum):
    """What a call came to: every answer is one of these."""

    FOUND = "found"
    NO_DATA = "no_data"  # the vendor did its work and has nothing; nothing failed
    PENDING = "pending"  # accepted, or still being worked on
    INVALID_INPUT = "invalid_input"  # this job can't succeed
    BLOCKED = "blocked"  # the vendor must not answer, for example because a person objected
    RATE_LIMITED = "rate_limited"
    NO_CREDITS = "no_credits"
    AUTH = "auth"  # the vendor refuses our credentials
    VENDOR_ERROR = "vendor_error"
    TIMEOUT = "timeout"


PERMANENT = (Outcome.INVALID_INPUT, Outcome.BLOCKED)  # calling again would bring the same
RESERVED_INPUT = ("vendor", "options")  # fields of a job that are not passed on to the vendor
MAX_REFERENCE_LENGTH = 255  # of what a vendor calls its piece of work

# What adapters written for release 0.1.0 raise.
FORMER_CODES = {
    "vendor_throttled": Outcome.RATE_LIMITED,
    "vendor_denied": Outcome.AUTH,
    "payment_required": Outcome.NO_CREDITS,
    "vendor_refused": Outcome.INVALID_INPUT,
    "vendor_timeout": Outcome.TIMEOUT,
}


@dataclass(frozen=True)
class Access:
    """With which key of the vendor's credential a request is made: the name of the key's variable,
    '' for the first or only one. `token`: the current OAuth2 token, if the credential has one.
    """

    key: str = ""
    token: str = field(default="", repr=False)


ANY_KEY = Access()


class CredentialSettings(Protocol):
    """How to prove to the vendor who we are: a `vendors.models.Credential`."""

    @property
    def definition(self) -> dict[str, Any]: ...
    def apply(self, request: Any, access: Access, reference: str = "") -> Any: ...


class VendorSettings(Protocol):
    """The settings that an adapter reads: those of a `vendors.models.Vendor`."""

    @property
    def slug(self) -> str: ...
    @property
    def adapter(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def repeat_unknown(self) -> bool: ...
    @property
    def api_key_env(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def api_key_fault(self) -> str: ...
    @property
    def outbound(self) -> Outbound: ...
    @property
    def definition(self) -> dict[str, Any]: ...
    @property
    def credential(self) -> CredentialSettings | None: ...
    @property
    def credential_fault(self) -> str: ...
    @property
    def redacted_fields(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class Call:
    """One attempt of one job, as an adapter sees it.

    `idempotency_key` is the same for every attempt of a run, so that the vendor can recognise a
    repeat. `callback_url` is where the vendor may post its answer later; it names the job and
    carries a token. `reference` is what the vendor calls its piece of work, once it is known.
    """

    job_id: str
    input: dict[str, Any]
    idempotency_key: str
    callback_url: str
    reference: str = ""
    access: Access = ANY_KEY


@dataclass(frozen=True)
class Done:
    """The vendor did its work.

    `result` is any JSON value, cleaned before it is stored; None if the outcome is no_data. `cost`
    is what the vendor charged, in its own unit.
    """

    result: Any
    outcome: str = Outcome.FOUND
    cost: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Accepted:
    """The vendor works on the job. Its answer comes by callback, or when it is polled.

    `reference` is what the vendor calls its piece of work; '' if it has said so before, or never
    will. `retry_after` is how long it asks to wait before the next poll.
    """

    reference: str = ""
    cost: float | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class Reply:
    """A vendor's HTTP response. `headers` ignores the case of names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "headers": dict(self.headers),
            "body": self.body.decode("utf-8", "ignore"),
        }

    def json(self) -> Any:
        """Return the body as any JSON value. Raises VendorError with code bad_reply."""
        return self._read(VENDOR_JSON.read)

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises VendorError with code bad_reply."""
        found: dict[str, Any] = self._read(VENDOR_JSON.read_object)
        return found

    def _read(self, reader: Callable[[bytes], Any]) -> Any:
        try:
            return reader(self.body)
        except ValueError as error:
            sentence = f"The vendor's answer (status {self.status}) can't be used. {error}"
            # The vendor may have done the work and charged for it, so the outcome is unknown.
            raise VendorError("bad_reply", sentence, outcome_known=False, reply=self) from None


class VendorError(Exception):
    """The only exception that an adapter raises on purpose.

    code: stable and machine-readable; one of Outcome, or a more exact code of a vendor_error.
    message: a sentence without personal data.
    permanent: retrying can't help.
    outage: the vendor seems to be down, as opposed to rejecting this job.
    retry_after: how long the vendor asks all callers to wait; with no_credits, for its credits.
    outcome_known: False if the vendor may have done the work although no answer arrived.
    restart: of a poll: the vendor has dropped its work, so the job must be called again.
    sent: False if nothing was sent to the vendor, so that no limit counts the call.
    cost: what the vendor charged, in its own unit.
    reply: the vendor's response. Its beginning is stored, cleaned (vendors/replies.py).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        permanent: bool = False,
        outage: bool = False,
        retry_after: timedelta | None = None,
        outcome_known: bool = True,
        restart: bool = False,
        sent: bool = True,
        cost: float | None = None,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(message)
        is_text = isinstance(code, str) and isinstance(message, str)
        if not (is_text and isinstance(retry_after, timedelta | None)):
            raise TypeError("VendorError takes code and message as str, retry_after as timedelta.")
        self.code = FORMER_CODES.get(code, code)
        self.message = message
        self.permanent = permanent
        self.outage = outage
        self.retry_after = retry_after
        self.outcome_known = outcome_known
        self.restart = restart
        self.sent = sent
        self.cost = cost
        self.reply = reply


class Adapter:
    """Speaks one vendor's dialect.

    One instance serves all threads of a process, so it must keep no state of a call.
    """

    def __init__(self, vendor: VendorSettings) -> None:
        self.vendor = vendor

    def call(self, call: Call) -> Done | Accepted:
        """Make one attempt. Raises VendorError if it fails."""
        raise NotImplementedError

    def poll(self, call: Call) -> Done | Accepted:
        """Ask for the answer to an earlier call that was accepted. Accepted: it is not there yet.
        Raises VendorError.
        """
        raise NotImplementedError

    def check(self, access: Access) -> Done:
        """Prove that the credentials work, by a call that costs nothing. Raises VendorError."""
        raise NotImplementedError

    def read_callback(self, payload: dict[str, Any]) -> Done | Accepted:
        """Return the result in a callback. Accepted: it has none, and the vendor must be polled.
        Raises VendorError if the callback reports a failure.
        """
        return Done(payload)

    def callback_reference(self, payload: dict[str, Any], headers: Mapping[str, str]) -> str:
        """Return the reference in a callback to the URL of the whole account; '' if it has none."""
        return ""
