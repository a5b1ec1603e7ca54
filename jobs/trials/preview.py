"""The request that a call by hand would send, without sending it."""

from collections.abc import Mapping
from typing import Any

from jobs.models import Kind
from jobs.trials.report import report
from jobs.worker import trial
from jobs.worker.trial import Trial
from vendors import execute
from vendors.base import Access
from vendors.http.exchanges import NOT_SENT, rehearsed
from vendors.models import Vendor
from vendors.payloads.masking import MASK
from vendors.registry import is_built_in

OWN_CODE = (
    "This vendor is called by an adapter of your own, which alone knows what it sends. Make the "
    "call to see it."
)


def preview(vendor: Vendor, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a call that is not sent: its request stands in `exchanges`. If there is
    none, `message` says why. A token is not asked for: it is masked anyway.
    """
    call = trial.call_of(vendor, given, access=lambda key: Access(key, MASK))
    if not is_built_in(vendor.adapter):
        return {"exchanges": [], "message": OWN_CODE}
    with rehearsed() as exchanges:
        answer = execute.execute(vendor, call)
    found = report(vendor, Trial(Kind.TRY, call, exchanges, answer, 0.0))
    return found | {"message": ""} if found["outcome"] == NOT_SENT else found
