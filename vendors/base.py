"""The interface of a vendor adapter: what it receives, what it returns and what it raises.

Nothing else about a vendor leaves its adapter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from vendors.payloads.json_reader import VENDOR_JSON


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


@dataclass(frozen=True)
class Call:
    """One attempt of one job, as an adapter sees it.

    `idempotency_key` is the same for every attempt of a run, so that the vendor can recognise a
    repeat. `callback_url` is where the vendor may post its answer later; it names the job and
    carries a token.
    """

    job_id: str
    input: dict[str, Any]
    idempotency_key: str
    callback_url: str


@dataclass(frozen=True)
class Done:
    """The vendor answered. `result` is cleaned before it is stored."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """The vendor accepted the job and will post its answer to the callback URL."""


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

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises VendorError with code bad_reply."""
        try:
            return VENDOR_JSON.read_object(self.body)
        except ValueError as error:
            sentence = f"The vendor's answer (status {self.status}) can't be used. {error}"
            # The vendor may have done the work and charged for it, so the outcome is unknown.
            raise VendorError("bad_reply", sentence, outcome_known=False, reply=self) from None


class VendorError(Exception):
    """The only exception that an adapter raises on purpose.

    code: stable and machine-readable.
    message: a sentence without personal data.
    permanent: retrying can't help.
    outage: the vendor seems to be down, as opposed to rejecting this job.
    retry_after: how long the vendor asks all callers to wait.
    outcome_known: False if the vendor may have done the work although no answer arrived.
    reply: the vendor's response. Its beginning is stored with the attempt, cleaned
        (vendors/replies.py).
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
        reply: Reply | None = None,
    ) -> None:
        super().__init__(message)
        is_text = isinstance(code, str) and isinstance(message, str)
        if not (is_text and isinstance(retry_after, timedelta | None)):
            raise TypeError("VendorError takes code and message as str, retry_after as timedelta.")
        self.code = code
        self.message = message
        self.permanent = permanent
        self.outage = outage
        self.retry_after = retry_after
        self.outcome_known = outcome_known
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

    def read_callback(self, payload: dict[str, Any]) -> Done:
        """Return the result in a callback. Raises VendorError if the callback reports a failure."""
        return Done(payload)
