"""Every key in Redis. All of a vendor's keys share a hash tag; all may vanish at any moment, and nothing is lost.

| key                       | type   | holds                                                             | lives               |
|---------------------------|--------|-------------------------------------------------------------------|---------------------|
| enrich:{vendor}:jobs      | stream | entries of first tries: a version and a job id, nothing else      | until settled       |
| enrich:{vendor}:again     | stream | entries of retries, takeovers and hand-backs, read first          | until settled       |
| enrich:{vendor}:whole     | string | since when no entry is lost that nobody knows of (ms; 0: ever)    | for good            |
| enrich:{vendor}:freed     | stream | its newest entry wakes workers that wait for a slot               | one entry           |
| enrich:{vendor}:log       | list   | starts of calls in microseconds, newest first                     | two longest windows |
| enrich:{vendor}:flight    | zset   | jobs that are processing or waiting, by when they were added (ms) | until they move on  |
| enrich:{vendor}:gate      | hash   | run id of the Redis that the log is true for, pace, breaker       | for good            |
| enrich:{vendor}:hold      | string | a pause so fresh that not every worker has read it from its row   | about a second      |
| enrich:{vendor}:rebuilder | string | who rebuilds log and flight from the rows                         | 10 s                |
| enrich:beats              | zset   | workers by the time of their last beat (ms)                       | until taken over    |
| enrich:unusable           | hash   | vendors that a worker can't call, and why, by worker              | until taken over    |
| enrich:sweeper            | string | who sweeps                                                        | 5 s                 |
| enrich:wake:<worker>      | stream | its newest entry makes the worker listen to other streams         | 60 s                |
| enrich:counts             | hash   | counters of /metrics                                              | for good            |
| enrich:probe              | none   | is only written to where it exists: to see what Redis refuses     | never               |
"""

GROUP = "workers"
BEATS = "enrich:beats"
UNUSABLE = "enrich:unusable"
SWEEPER = "enrich:sweeper"
COUNTS = "enrich:counts"
NEVER_MADE = "enrich:probe"


def wake_key(consumer: str) -> str:
    return f"enrich:wake:{consumer}"


class Keys:
    """The keys of one vendor."""

    def __init__(self, vendor: str) -> None:
        tag = f"enrich:{{{vendor}}}"
        self.jobs = f"{tag}:jobs"
        self.again = f"{tag}:again"
        self.whole = f"{tag}:whole"
        self.freed = f"{tag}:freed"
        self.log = f"{tag}:log"
        self.flight = f"{tag}:flight"
        self.gate = f"{tag}:gate"
        self.hold = f"{tag}:hold"
        self.rebuilder = f"{tag}:rebuilder"
