"""What clients send for each job: whose it is, its idempotency key and its body. All of it follows
from the seed and the job's serial number, so that a request can be repeated byte by byte.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chaos.vendors import vendor_of

# The clients have the same idempotency keys, each for a job of its own.
CLIENTS = ("billing", "sales", "search")

OPTION_PERCENTS = {"expires_in": 3, "not_before": 3}
MAX_DELAY_SECONDS = 4
MANNER_PERCENTS = {"impatient": 5, "at_once": 3, "waiting": 2}
PROBE_PERCENTS = {"replay": 10, "other_body": 4, "foreign_job": 5, "list": 1, "wait": 3}
MAX_WAIT_SECONDS = 4


@dataclass(frozen=True)
class Submission:
    """A request to create a job. Each repetition is the same."""

    serial: int
    vendor: str
    client: str
    key: str  # Idempotency-Key
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> dict[str, str]:
        return {"Idempotency-Key": self.key}

    @property
    def body(self) -> dict[str, Any]:
        body = {"vendor": self.vendor, "name": f"Job {self.serial}", "serial": self.serial}
        return {**body, "options": dict(self.options)} if self.options else body


def submission_of(seed: int, serial: int, now: datetime) -> Submission:
    number = (serial - 1) // len(CLIENTS)
    return Submission(
        serial,
        vendor_of(seed, serial),
        client_of(serial),
        f"order-{number}",
        _options(random.Random(f"{seed}/{serial}/options"), now),
    )


def client_of(serial: int) -> str:
    """Return the slug of a job's client."""
    return CLIENTS[(serial - 1) % len(CLIENTS)]


def stranger_to(client: str) -> str:
    """Return the slug of another client."""
    return CLIENTS[(CLIENTS.index(client) + 1) % len(CLIENTS)]


def manner_of(seed: int, serial: int) -> str:
    """Return how the request is sent first: without waiting for the answer, several times at once,
    asking to be answered when the job is final, or, for "", as usual.
    """
    return _draw(random.Random(f"{seed}/{serial}/manner"), MANNER_PERCENTS)


def probe_of(seed: int, serial: int) -> str:
    """Return what is tried with a job once it is accepted (`chaos.probes`), or ""."""
    return _draw(random.Random(f"{seed}/{serial}/probe"), PROBE_PERCENTS)


def wait_of(seed: int, serial: int) -> int:
    """Return how many seconds a client waits for the end of a job, if it does."""
    return random.Random(f"{seed}/{serial}/wait").randint(1, MAX_WAIT_SECONDS)


def _options(chance: random.Random, now: datetime) -> dict[str, Any]:
    seconds = chance.randint(1, MAX_DELAY_SECONDS)
    match _draw(chance, OPTION_PERCENTS):
        case "expires_in":
            return {"expires_in": seconds}
        case "not_before":
            return {"not_before": (now + timedelta(seconds=seconds)).isoformat()}
        case _:
            return {}


def _draw(chance: random.Random, percents: Mapping[str, int]) -> str:
    words = [*percents, ""]
    return chance.choices(words, [*percents.values(), 100 - sum(percents.values())])[0]
