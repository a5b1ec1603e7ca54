"""Invents the jobs of the last day from the stories of the vendors."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from demo.stories import DAY_SECONDS, STORIES, Story, Trouble

CLIENTS = {"billing": 0.5, "crm": 0.35, "research": 0.15}
PERMANENT = ("invalid_input", "auth")
MAX_ATTEMPTS = 2
CALLBACK_SECONDS = 1.5
OVERDUE_SECONDS = TIMEOUT_SECONDS = 30.0
FIRST_NAMES = ("Ada", "Ben", "Chloe", "Dario", "Elif", "Fatima", "Goran", "Hana", "Ivan", "June")
LAST_NAMES = ("Almeida", "Brandt", "Castro", "Dube", "Eriksen", "Fischer", "Garcia", "Haddad")


@dataclass(frozen=True)
class Call:
    started_at: datetime
    ended_at: datetime
    trouble: Trouble | None = None


@dataclass(frozen=True)
class Past:
    """A job of the past. Without `finished_at`, it still waits for its first call."""

    story: Story
    client: str
    name: str
    created_at: datetime
    finished_at: datetime | None = None
    calls: list[Call] = field(default_factory=list)
    has_data: bool = True

    @property
    def trouble(self) -> Trouble | None:
        """What it failed for."""
        return self.calls[-1].trouble if self.calls else None


def jobs_of_a_day(count: int, now: datetime, luck: random.Random) -> Iterator[Past]:
    """Yield about `count` jobs, oldest first."""
    for ago in sorted((_moment(luck) for _ in range(count)), reverse=True):
        [story] = luck.choices(STORIES, [each.share for each in STORIES])
        yield _job(story, now - timedelta(seconds=ago), now, luck)


def weight(ago: float) -> float:
    """Return how busy a time was, from 0 to 1: two hills a day."""
    hour = ago / 3600
    return 0.55 + 0.3 * math.cos(hour * math.tau / 24) + 0.15 * math.cos(hour * math.tau / 8)


def _moment(luck: random.Random) -> float:
    while True:
        ago = luck.uniform(1, DAY_SECONDS)
        if luck.random() < weight(ago):
            return ago


def _job(story: Story, created_at: datetime, now: datetime, luck: random.Random) -> Past:
    [client] = luck.choices(list(CLIENTS), list(CLIENTS.values()))
    name = f"{luck.choice(FIRST_NAMES)} {luck.choice(LAST_NAMES)}"
    wait = story.wait_seconds * luck.lognormvariate(0, 0.6)
    begins = created_at + timedelta(seconds=wait)
    if story.held_seconds and begins > now - timedelta(seconds=story.held_seconds):
        return Past(story, client, name, created_at)
    calls = list(_calls(story, begins, now, luck))
    finished_at = calls[-1].ended_at + timedelta(seconds=_answer_seconds(story, calls[-1]))
    has_data = luck.random() > story.no_data
    if finished_at > now:
        return Past(story, client, name, created_at)
    return Past(story, client, name, created_at, finished_at, calls, has_data)


def _calls(story: Story, begins: datetime, now: datetime, luck: random.Random) -> Iterator[Call]:
    for number in range(MAX_ATTEMPTS):
        ago = (now - begins).total_seconds()
        found = [each for each in story.troubles if each.applies(ago)]
        trouble = next((each for each in found if luck.random() < each.share), None)
        seconds = story.call_seconds * luck.lognormvariate(0, 0.4)
        if trouble and trouble.code == "timeout":
            seconds = TIMEOUT_SECONDS
        ended_at = begins + timedelta(seconds=seconds)
        yield Call(begins, ended_at, trouble)
        is_last = number + 1 == MAX_ATTEMPTS
        if trouble is None or trouble.code in PERMANENT or is_last or trouble.status is None:
            return
        begins = ended_at + timedelta(seconds=luck.uniform(0.2, 3))


def _answer_seconds(story: Story, call: Call) -> float:
    if call.trouble and call.trouble.code == "callback_overdue":
        return OVERDUE_SECONDS
    return CALLBACK_SECONDS if story.calls_back else 0.0
