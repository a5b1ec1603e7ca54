"""What the vendors without code do with a job, in addition to `chaos.plans`."""

import random

# How the callback of the first call that does the work behaves, in percent of the jobs.
CALLBACKS = {
    "early": 8.0,  # posted and answered before the call is answered
    "duplicate": 6.0,
    "replayed": 2.0,
    "late": 3.0,  # after a poll has found the answer
    "lost": 10.0,
    "forged": 8.0,
}
NO_DATA_PERCENT, NEVER_PERCENT = 10.0, 3.0
FOUND, NO_DATA, NEVER = "found", "no_data", "never"
MAX_PENDINGS = 3
# From the call on; so that the last poll of a job finds the answer, however few there were.
PENDING_SECONDS = 6.0

# The moods of polls, in percent.
MOODS = {
    "slow": 15.0,  # so that some workers die meanwhile
    "500": 3.0,
    "503": 1.5,
    "429_seconds": 0.4,
    "429_date": 0.2,
    "reset": 2.0,
    "reset_midway": 1.0,
    "timeout": 0.7,
    "drip": 0.5,
    "html": 0.3,  # is taken for an answer without a result
}


def ending_of(chance: random.Random, vendor: str) -> str:
    """Return what a job's calls come to: found, no_data, or never anything."""
    point = chance.random() * 100
    if point < NEVER_PERCENT:
        return FOUND if vendor == "lookup" else NEVER
    return NO_DATA if point < NEVER_PERCENT + NO_DATA_PERCENT else FOUND


def poll_mood_of(seed: int, serial: int, call: int, poll: int) -> str:
    """Return the mood of a poll with this number, after the call with this number."""
    point = random.Random(f"{seed}/{serial}/{call}/{poll}").random() * 100
    for mood, percent in MOODS.items():
        point -= percent
        if point < 0:
            return mood
    return "ok"
