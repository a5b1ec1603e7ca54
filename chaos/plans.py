"""What happens to each job of a campaign at its vendor: a pure function of the seed and the job's
serial number.
"""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaos.polls import plans as polls
from chaos.polls.definitions import DEFINITIONS

# The ways in which a call can fail or misbehave, and in what percentage of the jobs the first call
# does. A 429 pauses the whole vendor and a call without a response holds a thread for seconds, so
# both must be rare.
MOODS = {
    "slow": 2.0,  # the right answer, after a while
    "500": 2.0,
    "503": 1.0,
    "429_seconds": 0.12,  # Retry-After: 1
    "429_date": 0.12,  # Retry-After as a date, two seconds ahead
    "refused": 1.0,  # 400: no other attempt can help
    "redirect": 0.2,  # 302 to itself
    "reset": 1.0,  # after the request was read
    "reset_midway": 0.7,  # after half of the body
    "timeout": 0.5,  # no response for longer than the client waits
    "drip": 0.5,  # one byte of the body a second
    "endless": 0.3,  # an endless body
    "truncated_json": 0.4,
    "html": 0.4,
    "array": 0.3,  # JSON, but not an object
    "deep": 0.3,  # 500 levels of lists
    "nan": 0.3,  # accepted by Python's JSON parser
    "nul": 0.4,  # this and the next two: JSON objects that some store refuses
    "surrogate": 0.4,
    "big_integer": 0.4,
}
# Imposed on a whole vendor only.
UNPAID = ("unpaid", "unpaid_422")
QUOTA = "quota"  # 429 without Retry-After
EVERY_MOOD = frozenset({"ok", "500_after_work", "denied", "hang", *UNPAID, QUOTA, *MOODS})
# After all other moods the vendor has done the work and charges for it.
NO_WORK = frozenset(
    {
        *("500", "503", "429_seconds", "429_date", "refused", "redirect", "denied", "reset"),
        *UNPAID,
        QUOTA,
    }
)

# How the callback of a call behaves if it is not simply posted shortly after the response; in
# percent of the jobs.
CALLBACKS = {
    "early": 1.5,  # posted and answered before the call is answered
    "duplicate": 1.5,  # three times, two of them at once
    "replayed": 1.0,  # once more, three seconds after it was accepted
    "late": 0.4,  # after the job has failed as overdue
    "lost": 0.4,
    "forged": 1.0,  # after several that the vendor did not send
    "out_of_order": 1.0,  # after that of the next call
    "garbage": 1.2,  # after a body that is not a JSON object
}

CANCEL_PERCENT = 2.0
RETRY_PERCENT = 40.0  # of the jobs that may fail
HOPELESS_PERCENT = 0.05
HOPELESS_CALLS = 6
MAX_CALLS = 4
SECOND_CALL_PERCENT, FURTHER_CALL_PERCENT = 25.0, 10.0  # chance that another mood follows

# What a result contains in addition in such a mood. The store must keep it.
STRANGE: dict[str, dict[str, Any]] = {
    "nul": {"nul": "a\u0000b", "nul\u0000key": True},
    "surrogate": {"surrogate": "a\ud800b"},
    "big_integer": {"big": 2**70},
}

# The error code of each mood that is not a success.
ERRORS = {
    "500": "vendor_error",
    "500_after_work": "vendor_error",
    "503": "vendor_error",
    "429_seconds": "rate_limited",
    "429_date": "rate_limited",
    QUOTA: "rate_limited",
    "unpaid": "no_credits",
    "unpaid_422": "invalid_input",  # unless a definition knows it
    "denied": "auth",
    "refused": "invalid_input",
    "redirect": "invalid_input",
    "reset": "connection_lost",
    "reset_midway": "connection_lost",
    "timeout": "timeout",
    "hang": "timeout",
    "drip": "timeout",
    "endless": "bad_reply",
    "truncated_json": "bad_reply",
    "html": "bad_reply",
    "array": "bad_reply",
    "deep": "bad_reply",
    "nan": "bad_reply",
}
# Of an async vendor's response only the status is read, and that of these moods is good.
ONLY_THE_BODY = frozenset(
    {"reset_midway", "drip", "endless", "truncated_json", "html", "array", "deep", "nan"}
)
OUTCOME_UNKNOWN = frozenset({"connection_lost", "timeout", "bad_reply"})


@dataclass(frozen=True)
class Plan:
    """What the vendor does with the calls of one job, and what the client does with the job.

    All trouble is in the first run. In later runs every call succeeds, so that a retried job can
    complete.
    """

    moods: tuple[str, ...] = ()  # of the first, second, ... call; then all are ok
    callback: str = "normal"  # of the first call that does the work; of others it is normal
    client: str = ""  # "cancel" soon after the POST, or "retry" after a failure
    slow_seconds: float = 1.0
    callback_seconds: float = 0.5  # from the response to the callback
    # Of a vendor without code: what it comes to, and how often it is pending before.
    ending: str = polls.FOUND
    pendings: int = 0

    def mood_of(self, run: int, number: int) -> str:
        """Return the mood of a run's call with this number, from 1."""
        return self.moods[number - 1] if run == 1 and number <= len(self.moods) else "ok"

    def callback_of(self, run: int, number: int) -> str:
        """Return how the callback of that call behaves."""
        return self.callback if run == 1 and number == self._first_work else "normal"

    def ending_of(self, run: int) -> str:
        """Return what the calls of a run come to."""
        return polls.FOUND if run > 1 and self.ending == polls.NEVER else self.ending

    @property
    def _first_work(self) -> int:
        return next(
            number for number, mood in enumerate((*self.moods, "ok"), 1) if is_charged(mood)
        )


def plan_of(seed: int, serial: int, vendor: str) -> Plan:
    """Return the plan for a job. Four of five jobs have no trouble at all."""
    chance = random.Random(f"{seed}/{serial}/{vendor}")
    moods = _moods(chance)
    if vendor in DEFINITIONS:
        return _plan_without_code(chance, moods, vendor)
    callback = _draw(chance, CALLBACKS, "normal")
    if callback == "out_of_order":
        moods = ("500_after_work",)  # so that a second call follows before the first calls back
    may_fail = bool(moods) or callback in ("late", "lost")
    client = _draw(
        chance, {"cancel": CANCEL_PERCENT, "retry": RETRY_PERCENT if may_fail else 0.0}, ""
    )
    return Plan(moods, callback, client, chance.uniform(0.5, 1.5), chance.uniform(0.05, 1))


def _plan_without_code(chance: random.Random, moods: tuple[str, ...], vendor: str) -> Plan:
    callback, ending = _draw(chance, polls.CALLBACKS, "normal"), polls.ending_of(chance, vendor)
    may_fail = bool(moods) or ending == polls.NEVER
    client = _draw(
        chance, {"cancel": CANCEL_PERCENT, "retry": RETRY_PERCENT if may_fail else 0.0}, ""
    )
    seconds = chance.uniform(0.5, 1.5), chance.uniform(0.05, 1)
    pendings = chance.randint(0, polls.MAX_PENDINGS) if vendor == "polled" else 0
    return Plan(moods, callback, client, *seconds, ending, pendings)


def _moods(chance: random.Random) -> tuple[str, ...]:
    if _draw(chance, {"hopeless": HOPELESS_PERCENT}, ""):
        return ("500",) * HOPELESS_CALLS
    first = _draw(chance, MOODS, "")
    moods = [first] if first else []
    while moods and len(moods) < MAX_CALLS:
        if chance.random() * 100 >= (
            SECOND_CALL_PERCENT if len(moods) == 1 else FURTHER_CALL_PERCENT
        ):
            break
        moods += chance.choices(list(MOODS), list(MOODS.values()))
    return tuple(moods)


def _draw(chance: random.Random, percents: Mapping[str, float], otherwise: str) -> str:
    point = chance.random() * 100
    for word, percent in percents.items():
        point -= percent
        if point < 0:
            return word
    return otherwise


def run_of(key: str) -> int:
    """Return the run of an Idempotency-Key: the job's id in the first run, id:run in later ones."""
    _, _, run = key.partition(":")
    return int(run) if run.isdecimal() else 1


def answer_of(seed: int, key: str) -> str:
    """Return the one right answer for all calls with this Idempotency-Key."""
    return hashlib.sha256(f"{seed}/{key}".encode()).hexdigest()[:16]


def result_of(seed: int, key: str, *, name: str, serial: int, mood: str) -> dict[str, Any]:
    """Return the result as the vendor sends it. Cleaning changes only the lone surrogate in it."""
    return {"name": name, "serial": serial, "answer": answer_of(seed, key), **STRANGE.get(mood, {})}


def is_charged(mood: str) -> bool:
    """Whether the vendor did the work in such a call, even if the client did not see it."""
    return mood not in NO_WORK


def error_of(mood: str, *, is_async: bool) -> str:
    """Return the error code of such a call, or "" for a success."""
    return "" if is_async and mood in ONLY_THE_BODY else ERRORS.get(mood, "")


def may_fail_with(
    plan: Plan,
    *,
    run: int = 1,
    max_attempts: int = 6,
    repeat_unknown: bool = True,
    repeat_overdue: bool = False,
) -> frozenset[str]:
    """Return the codes with which a job may fail if only crashes of ours add to its plan.

    A crash can repeat any call, so every mood of the plan may occur. The vendor may be sync or
    async; a sync vendor has no overdue callbacks.
    """
    if run > 1:
        return frozenset()
    errors = [error for mood in plan.moods if (error := error_of(mood, is_async=False))]
    counted = [error for error in errors if error != "rate_limited"]
    codes = {"invalid_input"} & set(errors) | set(counted[max_attempts - 1 :])
    if not repeat_unknown and OUTCOME_UNKNOWN.intersection(errors):
        codes.add("outcome_unknown")
    if plan.callback in ("late", "lost") and not (
        repeat_overdue and len(counted) + 1 < max_attempts
    ):
        codes.add("callback_overdue")
    return frozenset(codes)
