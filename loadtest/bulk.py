"""Measures a bulk retry of many failed jobs whose workers are killed again and again, and checks
that it moves each job once and counts it once. Prints one line of JSON per step.

    .venv/bin/python -m loadtest.bulk --jobs 300000 --kills 4 --cancel-at 20000

loadtest/README.md explains the figures.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import django

from harness.running import processes_of
from harness.waiting import wait_for
from loadtest.move import show
from loadtest.own_service import OwnService, own_service

VENDOR = '[vendors.acme]\nadapter = "sync"\nurl = "{mocks}/sync"\n'
LONG_AGO = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHUNK = 10_000
KILL_INTERVAL_SECONDS = 2.0
KILLS_AT_ONCE = 4  # the server ends after five ends of a worker within a minute
REST_SECONDS = 60.0
MAX_SECONDS = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--jobs", type=int, default=20_000, help="failed jobs to retry (default 20,000)")
    add("--kills", type=int, default=4, help="how often all workers are killed (default 4)")
    add("--cancel-at", type=int, help="cancel when so many are retried (default: never)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    with own_service(VENDOR, WORKERS=1) as service:
        os.environ["DATABASE_URL"] = f"sqlite://{service.folder}/enrichlabs.sqlite3"
        os.environ["REDIS_URL"] = f"unix://{service.folder}/valkey.sock"
        os.environ["DJANGO_SETTINGS_MODULE"] = "enrichlabs.settings"
        django.setup()
        retry(service, options.jobs, options.kills, options.cancel_at)


def retry(service: OwnService, count: int, kills: int, cancel_at: int | None) -> None:
    from jobs.bulk import actions, kinds, plan
    from jobs.choice import Choice
    from jobs.queue.clock import redis_clock

    show("fill", jobs=count, seconds=timed(lambda: fill(count))[0])
    choice = Choice(vendor="acme", status="failed")
    seconds, planned = timed(lambda: plan.make(kinds.RETRY, choice, redis_clock.now()))
    show("plan", seconds=seconds, counted=planned.count, there_are_more=planned.is_bound)
    since = time.monotonic()
    actions.start(
        actor(),
        kind="retry",
        vendor="acme",
        choice=choice.as_json(),
        planned=planned.count,
        planned_is_bound=planned.is_bound,
    )
    killed = kill_workers(service, kills)
    if cancel_at is not None:
        wait_for(lambda: stored().done >= cancel_at, "enough to be retried", MAX_SECONDS)
        actions.cancel(actor(), stored())
        seconds, _ = timed(wait_until_finished)
        show("cancel", seconds=seconds)
    wait_until_finished()
    wait_for(lambda: not open_jobs(), "the jobs that were retried to end", MAX_SECONDS)
    report(count, killed, time.monotonic() - since)


def report(count: int, killed: int, seconds: float) -> None:
    from jobs.models import Job

    action = stored()
    runs = Counter(Job.objects.values_list("status", "run"))
    marked = Job.objects.filter(bulk=action.pk, bulk__gt="").count()
    show(
        "end",
        state=action.state,
        kills=killed,
        seconds=seconds,
        done=action.done,
        skipped=action.skipped,
        marked=marked,
        jobs={f"{status}, run {run}": number for (status, run), number in sorted(runs.items())},
    )
    twice = sum(number for (_, run), number in runs.items() if run > 2)
    left = runs["failed", 1]
    adds_up = action.done == marked and action.done + sum(action.skipped.values()) + left == count
    if twice or not adds_up:
        sys.exit(
            f"{twice} jobs were retried twice; the counts {'add' if adds_up else 'do not add'} up"
        )


def kill_workers(service: OwnService, kills: int) -> int:
    """Kill all workers `kills` times during the action. The server starts them again."""
    from jobs.models import BulkState

    killed = 0
    for number in range(kills):
        rests = number and number % KILLS_AT_ONCE == 0
        time.sleep(REST_SECONDS if rests else KILL_INTERVAL_SECONDS)
        if stored().state != BulkState.RUNNING:
            break
        for pid, command in processes_of(service.folder).items():
            if "run_worker" in command:
                os.kill(pid, signal.SIGKILL)
        killed += 1
    return killed


def fill(count: int) -> None:
    from jobs.models import Job

    fields: dict[str, Any] = {"vendor": "acme", "input": {"name": "John Doe"}, "status": "failed"}
    fields |= {"error_code": "timeout", "queued_at": LONG_AGO, "finished_at": LONG_AGO}
    for start in range(0, count, CHUNK):
        Job.objects.bulk_create(Job.new(**fields) for _ in range(min(CHUNK, count - start)))


def stored() -> Any:
    from jobs.models import BulkAction

    return BulkAction.objects.get()


def wait_until_finished() -> None:
    wait_for(lambda: stored().finished_at, "the action to end", MAX_SECONDS)


def open_jobs() -> bool:
    from jobs.models import OPEN, Job

    return Job.objects.filter(status__in=OPEN).exists()


def actor() -> Any:
    from audit.record import Actor

    return Actor("loadtest")


def timed(act: Any) -> tuple[float, Any]:
    since = time.monotonic()
    answer = act()
    return time.monotonic() - since, answer


if __name__ == "__main__":
    main()
