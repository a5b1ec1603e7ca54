"""Fills an empty store with the demo's past. Import it once Django is set up."""

import random
from dataclasses import dataclass, field

from django.utils import timezone

from clients.models import ApiKey
from demo import history, people, rows, tallies
from jobs.models import Batch, Callback, Job

FILLED = (Job, Batch, Callback, ApiKey)


class NotEmptyError(Exception):
    """The store has rows already. The text says what to do."""


@dataclass(frozen=True)
class Filled:
    """What it takes to use the demo. Shown once, and stored nowhere."""

    keys: dict[str, str] = field(repr=False)  # an API key of each client
    passwords: dict[str, str] = field(repr=False)  # of the users, besides the admin


def fill(count: int, seed: str) -> Filled:
    """Write about `count` jobs of the last day, and what belongs to them. Raises NotEmptyError."""
    if any(model.objects.exists() for model in FILLED):
        raise NotEmptyError(
            "The store has jobs or API keys already, and the demo fills only an empty one. "
            "Set ENRICHLABS_DATA to a new folder."
        )
    now = timezone.now()
    luck = random.Random(seed)  # the same seed makes the same past
    pasts = list(history.jobs_of_a_day(count, now, luck))
    rows.write(pasts)
    tallies.write(pasts, now, luck)
    people.pause_vendors(now)
    people.add_entries(now)
    return Filled(people.add_clients(), people.add_users())
