"""Every key in Redis. A vendor's keys share a hash tag. Any key may vanish at any moment: the rows
restore it.

| key                          | type   | holds                                                     | lives               |
|------------------------------|--------|-----------------------------------------------------------|---------------------|
| enrich:{vendor}:jobs         | stream | entries of first attempts: a version and a job id         | until settled       |
| enrich:{vendor}:retries      | stream | entries of later attempts, read first                     | until settled       |
| enrich:{vendor}:intact_since | string | since when no entry was lost unnoticed (ms; 0: always)    | forever             |
| enrich:{vendor}:freed        | stream | its newest entry wakes workers that wait for a slot       | one entry           |
| enrich:{vendor}:log          | list   | starts of calls in microseconds, newest first             | two longest windows |
| enrich:{vendor}:in_flight    | zset   | processing and waiting jobs, scored by time added (ms)    | until they move on  |
| enrich:{vendor}:state        | hash   | run id of the Redis that wrote the log, pace, breaker     | forever             |
| enrich:{vendor}:pause        | string | a pause that not every worker has read from the row yet   | about a second      |
| enrich:{vendor}:rebuilder    | string | the worker that rebuilds log and in_flight from the rows  | 10 s                |
| enrich:heartbeats            | zset   | workers, scored by time of their last heartbeat (ms)      | until taken over    |
| enrich:unusable              | hash   | vendors that a worker can't call, with reasons, by worker | until taken over    |
| enrich:sweeper               | string | the worker that sweeps                                    | 5 s                 |
| enrich:wake:<worker>         | stream | its newest entry makes the worker read other streams      | 60 s                |
| enrich:counters              | hash   | counters of /metrics                                      | forever             |
| enrich:probe                 | none   | never exists; tests which commands Redis refuses          | never               |
"""

GROUP = "workers"
HEARTBEATS = "enrich:heartbeats"
UNUSABLE = "enrich:unusable"
SWEEPER = "enrich:sweeper"
COUNTERS = "enrich:counters"
ACCESS_PROBE = "enrich:probe"


def wake_key(consumer: str) -> str:
    return f"enrich:wake:{consumer}"


class Keys:
    """The keys of one vendor."""

    def __init__(self, slug: str) -> None:
        tag = f"enrich:{{{slug}}}"
        self.jobs = f"{tag}:jobs"
        self.retries = f"{tag}:retries"
        self.intact_since = f"{tag}:intact_since"
        self.freed = f"{tag}:freed"
        self.log = f"{tag}:log"
        self.in_flight = f"{tag}:in_flight"
        self.state = f"{tag}:state"
        self.pause = f"{tag}:pause"
        self.rebuilder = f"{tag}:rebuilder"
