"""Every key in Redis. Any of them may vanish at any moment: the rows restore it.

A vendor's keys begin with `enrich:{slug}:`, which makes the slug their hash tag:

| key          | type   | holds                                               | lives             |
|--------------|--------|-----------------------------------------------------|-------------------|
| jobs         | stream | entries of first attempts: a version and a job id   | until settled     |
| retries      | stream | entries of later attempts, read first               | until settled     |
| polls        | stream | entries of polls: a job id and its next_poll_at     | until settled     |
| polls:<key>  | stream | the same, for jobs called with that credential key  | until settled     |
| intact_since | string | since when no entry was lost (ms; 0: always)        | forever           |
| freed        | stream | newest entry wakes workers that wait for a slot     | one entry         |
| log          | list   | units of calls: microseconds, newest first          | 2 longest windows |
| in_flight    | zset   | processing and waiting jobs, by time added (ms)     | until they leave  |
| state        | hash   | run id of the log's Redis, pace, breaker            | forever           |
| pause        | string | a pause that not every worker has read from the row | about a second    |
| rebuilder    | string | lock of the worker that rebuilds log and in_flight  | 20 s              |
| waited       | zset   | jobs that requests wait for, by until when (ms)     | 60 s              |

A limit that vendors share has freed, log, in_flight, state and rebuilder too, which begin with
`enrich:limit:{slug}:`, or with `enrich:limit:{slug/key}:` if each key of a credential counts on its
own. A key of a credential has `enrich:credential:{credential/key}:pause`.

The others:

| key                  | type   | holds                                         | lives            |
|----------------------|--------|-----------------------------------------------|------------------|
| enrich:heartbeats    | zset   | workers, by time of their last heartbeat (ms) | until taken over |
| enrich:unusable      | hash   | per worker: vendors it can't call, and why    | until taken over |
| enrich:workers       | hash   | per worker: its last report, with its time    | an hour          |
| enrich:orders        | hash   | per worker: drain, resume or stop             | until obeyed     |
| enrich:version:<v>   | string | lock of the worker that notes a new version   | 60 s             |
| enrich:sweeper       | string | lock of the worker that sweeps                | 5 s              |
| enrich:wake:<worker> | stream | newest entry makes a worker change streams    | 60 s             |
| enrich:ended         | stream | jobs that were waited for and batches, ended  | 1000 entries     |
| enrich:probe         | none   | never exists; tests what Redis refuses        | never            |

Of each credential whose vendor issues tokens, with its slug as the hash tag. They end in a digest
of its definition and secrets:

| key                               | type   | holds                             | lives        |
|-----------------------------------|--------|-----------------------------------|--------------|
| enrich:credential:{slug}:token    | hash   | the token, encrypted; its life    | as the token |
| enrich:credential:{slug}:asking   | string | lock of who asks for a new token  | 15 s         |
| enrich:credential:{slug}:no_token | string | why the last request brought none | 1 s to 60 s  |

And one for each client with request limits, with its slug as the hash tag:

| key                           | type | holds                            | lives              |
|-------------------------------|------|----------------------------------|--------------------|
| enrich:client:{slug}:requests | list | its requests, as log holds calls | the longest window |
"""

GROUP = "workers"
HEARTBEATS = "enrich:heartbeats"
UNUSABLE = "enrich:unusable"
WORKERS = "enrich:workers"
ORDERS = "enrich:orders"
SWEEPER = "enrich:sweeper"
ENDED = "enrich:ended"
ACCESS_PROBE = "enrich:probe"


def wake_key(consumer: str) -> str:
    return f"enrich:wake:{consumer}"


def version_key(version: str) -> str:
    return f"enrich:version:{version}"


def requests_key(client: str) -> str:
    return f"enrich:client:{{{client}}}:requests"


def token_keys(credential: str, digest: str) -> list[str]:
    """Return KEYS of token.lua."""
    tag = f"enrich:credential:{{{credential}}}"
    return [f"{tag}:{name}:{digest}" for name in ("token", "asking", "no_token")]


def key_pause(credential: str, key: str) -> str:
    return f"enrich:credential:{{{credential}/{key}}}:pause"


class BucketKeys:
    """The keys of one bucket, which counts calls: a vendor's own, or that of a shared limit."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.freed = f"{tag}:freed"
        self.log = f"{tag}:log"
        self.in_flight = f"{tag}:in_flight"
        self.state = f"{tag}:state"
        self.rebuilder = f"{tag}:rebuilder"


def limit_keys(limit: str, key: str = "") -> BucketKeys:
    """Return the keys of a shared limit, or of one `key` of a credential under that limit."""
    return BucketKeys(f"enrich:limit:{{{limit}/{key}}}" if key else f"enrich:limit:{{{limit}}}")


class Keys(BucketKeys):
    """The keys of one vendor."""

    def __init__(self, slug: str) -> None:
        tag = f"enrich:{{{slug}}}"
        super().__init__(tag)
        self.jobs = f"{tag}:jobs"
        self.retries = f"{tag}:retries"
        self.polls = f"{tag}:polls"
        self.intact_since = f"{tag}:intact_since"
        self.pause = f"{tag}:pause"
        self.waited = f"{tag}:waited"

    def polls_of(self, key: str) -> str:
        """Return the stream of the polls that are made with this key of a credential."""
        return f"{self.polls}:{key}" if key else self.polls
