"""What a vendor adapter is given, what it may answer and what it may raise. Nothing else about a
vendor leaves its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vendors.payloads.json_reader import VENDOR_JSON

if TYPE_CHECKING:
    from vendors.models import Vendor


@dataclass(frozen=True)
class Call:
    """One try of one job, as an adapter sees it."""

    job_id: str
    input: dict[str, Any]
    idempotency_key: str  # the same for every try of a run, so that the vendor can tell a repeat
    callback_url: (
        str  # where the vendor may post its answer later; names the job and carries a token
    )


@dataclass(frozen=True)
class Done:
    """The vendor answered; `result` is not yet cleaned."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """The vendor took the job and will post its answer to the callback URL."""


@dataclass(frozen=True)
class Reply:
    """What a vendor answered. The headers' names are looked up in any spelling."""

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
        """Return the object that the body spells. Raises VendorError bad_reply."""
        try:
            return VENDOR_JSON.read_object(self.body)
        except ValueError as error:
            sentence = f"The vendor's answer (status {self.status}) can't be used. {error}"
            # The vendor may have done the work, and been paid for it: who would rather look than
            # pay twice is asked.
            raise VendorError("bad_reply", sentence, outcome_known=False, reply=self) from None


class VendorError(Exception):
    """The one exception that leaves an adapter.

    `code` is stable and machine-readable; `message` is a sentence without personal data.
    `permanent`: another try cannot help. `outage`: the vendor seems to be down rather than unhappy
    with this job. `retry_after`: the vendor asks everybody to wait that long. `outcome_known` is
    False where the vendor may have done the work although no answer came. `reply` is what the
    vendor said; the beginning of it is kept with the attempt, cleaned
    (vendors/payloads/replies.py).
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
        if not (
            isinstance(code, str)
            and isinstance(message, str)
            and isinstance(retry_after, timedelta | None)
        ):
            raise TypeError(
                "VendorError takes a code and a message as text, and retry_after as a timedelta."
            )
        self.code = code
        self.message = message
        self.permanent = permanent
        self.outage = outage
        self.retry_after = retry_after
        self.outcome_known = outcome_known
        self.reply = reply


class Adapter:
    """Speaks one vendor's dialect. One instance serves all threads of a process: it keeps no state
    of a call.
    """

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    def call(self, call: Call) -> Done | Accepted:
        """Make one try. Raises VendorError, and nothing else on purpose."""
        raise NotImplementedError

    def read_callback(self, payload: dict[str, Any]) -> Done:
        """Return the result that a callback brings. Raises VendorError where it reports a failure."""
        return Done(payload)
