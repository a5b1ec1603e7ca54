"""What each error code means, and what to do about it."""

from dataclasses import dataclass, replace
from typing import Literal

Helps = Literal["yes", "after", "no"]
HELPS = {
    "yes": "A retry may help.",
    "after": "A retry helps once the cause is removed.",
    "no": "A retry will not help until the input is changed.",
}


@dataclass(frozen=True)
class Advice:
    """`retry_helps`: `after` means once the remedy is done. `may_pay_twice`: whether the vendor may
    have done the work already, and charge for it again. `ends_jobs`: whether a job can end with the
    code, as opposed to an attempt after which it is queued again.
    """

    meaning: str
    remedy: str
    retry_helps: Helps = "yes"
    may_pay_twice: bool = False
    ends_jobs: bool = True

    @property
    def next_step(self) -> str:
        """The remedy, with whether a retry helps if it does not say so."""
        says_so = self.retry_helps != "no" and "retry" in self.remedy.lower()
        return self.remedy if says_so else f"{self.remedy} {self.on_retry}"

    @property
    def on_retry(self) -> str:
        """Whether a retry helps, as a sentence."""
        return HELPS[self.retry_helps]


ADVICE = {
    "invalid_input": Advice(
        "The vendor refused this input.",
        "Read what it answered. Change the input and retry the job, or have the client post it "
        "again. If every job fails, check the vendor's URL and its definition.",
        "no",
    ),
    "blocked": Advice(
        "The vendor must not answer for this person or company.",
        "Nothing: somebody has objected, or the law forbids it. Tell the client.",
        "no",
    ),
    "auth": Advice(
        "The vendor refuses our credentials.",
        "Check the API key and what the account may do, then resume the vendor and retry.",
        "after",
    ),
    "api_key_missing": Advice(
        "The environment variable that holds the vendor's API key is missing or not valid.",
        "Set it for the workers, restart them, then retry.",
        "after",
    ),
    "vendor_error": Advice(
        "The fault is the vendor's own, not the input's.",
        "Look at the vendor's status page. Retry when it works again.",
        "after",
    ),
    "vendor_unreachable": Advice(
        "No connection to the vendor could be made.",
        "Check its URL, DNS and the firewall. Retry when it can be reached.",
        "after",
    ),
    "timeout": Advice(
        "The vendor did not answer in time.",
        "See how long its calls take. If they are slow but succeed, raise timeout_seconds. Then "
        "retry.",
        may_pay_twice=True,
    ),
    "connection_lost": Advice(
        "The connection broke before the vendor's answer was complete.",
        "Retry. If it happens often, ask the vendor, and check proxies between.",
        may_pay_twice=True,
    ),
    "bad_reply": Advice(
        "The vendor's answer could not be read, or is not what its definition expects.",
        "Read the answer, change the definition or the adapter, then retry.",
        "after",
        may_pay_twice=True,
    ),
    "adapter_failed": Advice(
        "The vendor's adapter raised an error, or could not be loaded.",
        "Find the error in the worker's log, correct the adapter, restart the workers, then retry.",
        "after",
        may_pay_twice=True,
    ),
    "outcome_unknown": Advice(
        "The call was cut off, so the vendor may have done the work, and repeat_unknown is off.",
        "Ask the vendor whether it did the work. Retry only if it did not, or if paying twice is "
        "acceptable.",
        may_pay_twice=True,
    ),
    "worker_lost": Advice(
        "Its worker died during four attempts.",
        "Look for the reason in the worker's log: often too little memory. Retry one such job "
        "first.",
        "after",
        may_pay_twice=True,
    ),
    "not_storable": Advice(
        "The vendor's answer could not be stored.",
        "The message says why: mostly it is too large. Ask the vendor for less, then retry.",
        "after",
        may_pay_twice=True,
    ),
    "callback_overdue": Advice(
        "The vendor accepted the job, but its callback did not come in time.",
        "See whether callbacks of this vendor were refused or could not be read, and apply those. "
        "If none came, ask the vendor, then retry.",
        may_pay_twice=True,
    ),
    "poll_gave_up": Advice(
        "The vendor accepted the job, but its result was not there in time.",
        "Ask the vendor. If it is only slow, raise give_up in its definition. Then retry.",
        may_pay_twice=True,
    ),
    "expired": Advice(
        "The job was not started within the time that its client gave it.",
        "Ask the client whether it is still wanted, then retry. See what held the vendor's queue.",
    ),
    "quota_spent": Advice(
        "The quota of a limit was spent, and its jobs fail meanwhile.",
        "Retry after the quota is renewed, or raise the limit.",
        "after",
    ),
    "rate_limited": Advice(
        "The vendor throttles us.",
        "Nothing: its jobs wait and are called again. If it happens often, lower the vendor's "
        "limits to what it allows.",
        ends_jobs=False,
    ),
    "no_credits": Advice(
        "The account with the vendor is empty.",
        "Top it up, then resume the vendor. Its jobs wait meanwhile.",
        "after",
        ends_jobs=False,
    ),
    "token_refused": Advice(
        "The vendor refused a token that it had issued some time ago.",
        "Nothing: the next call gets a new one.",
        ends_jobs=False,
    ),
    "worker_stopped": Advice(
        "Its worker was stopped during the call.",
        "Nothing: the job was queued again.",
        ends_jobs=False,
    ),
}
OTHER = Advice(
    "The vendor's adapter reports this error in its own words.",
    "Read the message and what the vendor answered.",
)


NOT_AGAIN = "Such a job is not called again by itself. Retry it when the vendor takes calls again."


def advice_on(code: str, *, has_failed: bool = False) -> Advice:
    """Return the advice on an error code, also on one that only an adapter knows. `has_failed`:
    for jobs that did end with it, even if jobs usually do not.
    """
    advice = ADVICE.get(code, OTHER)
    return advice if advice.ends_jobs or not has_failed else replace(advice, remedy=NOT_AGAIN)
