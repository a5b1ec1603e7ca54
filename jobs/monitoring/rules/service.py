"""Rules about Redis, the store and the workers."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.monitoring.facts import Problem, ServiceSnapshot, Severity, WorkerLine
from jobs.monitoring.rules.rule import Alert, Rule, counted, span
from jobs.monitoring.workers import mixed_since
from jobs.queue.heartbeat import no_live_worker_message

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING
SLOW_MS = 1000.0
MIXED_SECONDS = 1800.0
CLOCK_SECONDS = 2.0
MEMORY_SHARE = 0.9
LIVE = ("alive", "draining", "stopping")


def redis_away(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    if not snapshot.redis_answers:
        sentence = (
            "Redis does not answer. Start it: jobs are accepted, and run when it is back. What "
            "waits is counted from the rows meanwhile."
        )
        yield Problem("redis_away", CRITICAL, sentence, snapshot.redis_away_since)


def store_away(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    if not snapshot.store_answers:
        sentence = (
            "The store does not answer. Nothing is accepted, and no call starts. What is shown of "
            "vendors and of the past is what was known last."
        )
        yield Problem("store_away", CRITICAL, sentence, snapshot.store_away_since)


def no_worker(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    if not snapshot.redis_answers:
        return
    message = no_live_worker_message(snapshot.redis.workers) or _all_drained(snapshot)
    if message:
        waiting = snapshot.figures.waiting or 0
        verb = "waits" if waiting == 1 else "wait"
        jobs = f" {counted(waiting, 'job')} {verb}." if waiting else ""
        since = _last_heartbeat(snapshot)
        yield Problem("no_worker", CRITICAL, message + jobs, since, acts=("see_workers",))


def _last_heartbeat(snapshot: ServiceSnapshot) -> datetime | None:
    """Return when a worker was last heard of, if none is alive and one is remembered."""
    if not snapshot.workers or any(worker.state in LIVE for worker in snapshot.workers):
        return None
    silent_seconds = min(worker.silent_seconds for worker in snapshot.workers)
    return snapshot.redis.now - timedelta(seconds=silent_seconds)


def _all_drained(snapshot: ServiceSnapshot) -> str:
    states = [worker.state for worker in snapshot.workers if worker.state in LIVE]
    if not states or "alive" in states or "draining" not in states:
        return ""
    return "All workers are drained: they take nothing. Resume one, or start another."


def worker_silent(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    if not any(worker.is_alive for worker in snapshot.redis.workers):
        return  # no_worker says so
    for worker in snapshot.redis.workers:  # those that were taken over are not there any more
        if not worker.is_alive:
            sentence = (
                f"Worker {worker.name} has been silent for {span(worker.silent_seconds)}. It may "
                "be frozen; its jobs are taken over."
            )
            since = snapshot.redis.now - timedelta(seconds=worker.silent_seconds)
            subject = ("worker", worker.name)
            yield Problem("worker_silent", WARNING, sentence, since, subject)


def store_slow(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    writes = snapshot.store_health.write_milliseconds or 0.0
    slowest = max(writes, snapshot.store_ms or 0.0)
    slow_commits = snapshot.events("slow_commits")
    if slowest > SLOW_MS:
        sentence = f"The store is slow: it took {slowest / 1000:.1f} s to answer."
    elif slow_commits:
        commits = counted(slow_commits, "commit")
        sentence = f"The store is slow: {commits} took over 1 s in the last 10 min."
    else:
        return
    yield Problem("store_slow", WARNING, f"{sentence} Look at its disk and its load.")


def redis_memory(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    redis = snapshot.redis_health
    if redis.max_bytes and redis.used_bytes > MEMORY_SHARE * redis.max_bytes:
        share = redis.used_bytes / redis.max_bytes
        sentence = (
            f"Redis uses {share:.0%} of its maxmemory. Raise it: when it is full, no call starts."
        )
        yield Problem("redis_memory", WARNING, sentence)


def versions_mixed(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    since = mixed_since(snapshot.redis)
    if since and (snapshot.redis.now - since).total_seconds() > MIXED_SECONDS:
        others = [worker for worker in snapshot.workers if worker.is_other_version]
        names = ", ".join(sorted({worker.version for worker in others}))
        what = f"{counted(len(others), 'worker')} still of version {names}"
        sentence = f"Workers of several versions run: {what}. Finish the upgrade."
        yield Problem("versions_mixed", WARNING, sentence, since, acts=("see_workers",))


def clocks_apart(snapshot: ServiceSnapshot) -> Iterator[Problem]:
    for worker in _apart(snapshot):
        ahead = worker.clock_ahead_seconds
        how = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
        sentence = (
            f"The clock of {worker.host} is {how} that of Redis. Times in the console and in logs "
            "differ by as much. Synchronise both by NTP."
        )
        yield Problem("clocks_apart", WARNING, sentence, subject=("worker", worker.name))


def _apart(snapshot: ServiceSnapshot) -> list[WorkerLine]:
    """Return a worker of each machine whose clock differs."""
    by_host = {worker.host: worker for worker in snapshot.workers if worker.state in LIVE}
    return [each for each in by_host.values() if abs(each.clock_ahead_seconds) > CLOCK_SECONDS]


RULES = [
    Rule(
        "redis_away",
        CRITICAL,
        redis_away,
        Alert("enrichlabs_redis_up == 0", "30s", "Redis does not answer: no job is called."),
    ),
    Rule(
        "store_away",
        CRITICAL,
        store_away,
        Alert(
            "enrichlabs_store_up == 0 or absent(enrichlabs_store_up)",
            "30s",
            "The store, or the whole service, does not answer: nothing is accepted.",
        ),
    ),
    Rule(
        "no_worker",
        CRITICAL,
        no_worker,
        Alert("enrichlabs_workers_taking == 0", "30s", "No live worker takes jobs."),
    ),
    Rule(
        "worker_silent",
        WARNING,
        worker_silent,
        Alert("enrichlabs_workers_silent > 0", "1m", "A worker is silent: frozen or killed."),
    ),
    Rule(
        "store_slow",
        WARNING,
        store_slow,
        Alert(
            "enrichlabs_store_write_seconds > 1 or enrichlabs_store_read_seconds > 1"
            " or sum(increase(enrichlabs_slow_commits_total[10m])) > 0",
            "1m",
            "The store takes longer than a second.",
        ),
    ),
    Rule(
        "redis_memory",
        WARNING,
        redis_memory,
        Alert(
            "enrichlabs_redis_used_bytes > 0.9 * enrichlabs_redis_max_bytes"
            " and enrichlabs_redis_max_bytes > 0",
            "5m",
            "Redis is nearly full.",
        ),
    ),
    Rule(
        "versions_mixed",
        WARNING,
        versions_mixed,
        Alert("enrichlabs_worker_versions > 1", "30m", "Workers of several versions run."),
    ),
    Rule(
        "clocks_apart",
        WARNING,
        clocks_apart,
        Alert("enrichlabs_clock_skew_seconds > 2", "5m", "The clock of a machine is wrong."),
    ),
]
