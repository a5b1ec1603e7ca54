"""manage.py run_worker: takes jobs and calls vendors until it is stopped."""

import gc
import logging
import math
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from jobs.worker.supervisor import KeepsDying, Supervisor
from jobs.worker.supervisor.processes import SIGNALS, Fork
from jobs.worker.worker import Worker
from vendors.catalogue import catalogue, listed

log = logging.getLogger(__name__)

# New objects between two garbage collections. A job or two creates Python's default of 700.
GC_THRESHOLD = 10_000
# A signal to the whole process group arrives twice: once by itself, once from the supervisor.
SAME_SIGNAL_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Takes jobs from Redis and calls vendors within their limits. SIGTERM, SIGHUP or Ctrl-C "
        "stops it gracefully; a second signal ends it at once."
    )
    # Checks of URLs and forms would load every view: a fifth of the start time, and megabytes.
    requires_system_checks = [Tags.models, "settings"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--processes", type=int, default=1, help="worker processes (default 1)")
        add("--threads", type=int, default=32, help="concurrent calls per process (default 32)")
        add("--vendors", default="", help="only these vendors, comma-separated (default: all)")
        add("--drain", action="store_true", help="exit when no open job is left")
        grace = "time for running calls to finish when stopped (default 20)"
        add("--grace-seconds", type=float, default=20, help=grace)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["processes"] < 1 or options["threads"] < 1:
            raise CommandError("--processes and --threads must be 1 or more.")
        vendors = [slug.strip() for slug in options["vendors"].split(",") if slug.strip()]
        _check(vendors)
        _close_connections()
        _tune_garbage_collector()

        def work() -> None:
            worker = Worker(
                threads=options["threads"],
                vendors=vendors,
                drain=options["drain"],
                grace_seconds=options["grace_seconds"],
            )
            _stop_on_signals(worker)
            threading.excepthook = _end_process
            worker.run()

        if options["processes"] == 1:
            work()
        else:
            _supervise(work, options["processes"])


def _check(vendors: list[str]) -> None:
    unknown = set(vendors) - set(catalogue.all()) if vendors else set()
    if unknown:
        known = listed(catalogue.all())
        raise CommandError(
            f"Unknown vendors: {', '.join(sorted(unknown))}. Known vendors: {known}."
        )


def _supervise(work: Callable[[], None], count: int) -> None:
    """Run `work` in `count` forks until all of them return. Exits with 1 when one keeps dying."""
    try:
        with Supervisor(grace_seconds=math.inf) as supervisor:  # workers have their own
            supervisor.start(*(Fork(f"worker process {n + 1}", work) for n in range(count)))
            supervisor.watch()
    except KeepsDying as error:
        log.error("%s", error)
        sys.exit(1)


def _end_process(failure: threading.ExceptHookArgs) -> None:
    """End a worker that has lost a thread and would only half work. Its jobs are taken over."""
    thread = failure.thread.name if failure.thread else "unknown"
    log.critical("the thread %s failed; this worker ends", thread, exc_info=failure.exc_value)
    logging.shutdown()
    os._exit(1)


def _close_connections() -> None:
    """Close connections before the fork: processes must not share them."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.vendor == "mongodb":
            connection.close_pool()  # type: ignore[attr-defined]  # only MongoDB has a pool


def _tune_garbage_collector() -> None:
    """Keep the collector from scanning the loaded code again every few jobs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _stop_on_signals(worker: Worker) -> None:
    stopped_at = 0.0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped_at
        if not worker.is_stopping:
            stopped_at = time.monotonic()
            worker.stop()
        elif time.monotonic() - stopped_at > SAME_SIGNAL_SECONDS:
            os._exit(1)

    for signal_number in SIGNALS:
        if signal.getsignal(signal_number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(signal_number, stop)
