"""manage.py run_worker: takes jobs and calls vendors until it is stopped."""

import gc
import logging
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from jobs.worker.supervisor import Processes
from jobs.worker.worker import Worker
from vendors.catalogue import catalogue, listed

log = logging.getLogger(__name__)

COLLECT_AT = 10_000  # new objects that may be garbage; Python's own 700 are made by a job or two
# A signal to a whole group of processes comes twice: by itself, and passed on by the parent.
SAME_SIGNAL_SECONDS = 1.0


class Command(BaseCommand):
    help = "Takes jobs from Redis and calls vendors within their limits, until SIGTERM or Ctrl-C; a second signal ends at once."
    # Not those of URLs and forms, for which a worker would load every view: a fifth of its start,
    # and megabytes.
    requires_system_checks = [Tags.models, "settings"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--processes", type=int, default=1, help="worker processes (default 1)")
        parser.add_argument(
            "--threads", type=int, default=32, help="calls at a time in each process (default 32)"
        )
        parser.add_argument(
            "--vendors", default="", help="work for these only, separated by commas (default: all)"
        )
        parser.add_argument("--drain", action="store_true", help="end when no job is open any more")
        parser.add_argument(
            "--grace-seconds",
            type=float,
            default=20,
            help="for calls under way when it is stopped (default 20)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["processes"] < 1 or options["threads"] < 1:
            raise CommandError("--processes and --threads must be 1 or more.")
        vendors = [slug.strip() for slug in options["vendors"].split(",") if slug.strip()]
        _check(vendors)
        _close_connections()
        _spare_the_collector()

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
            sys.exit(Processes(options["processes"], work).run())


def _check(vendors: list[str]) -> None:
    unknown = set(vendors) - set(catalogue.all()) if vendors else set()
    if unknown:
        raise CommandError(
            f"Unknown vendors: {', '.join(sorted(unknown))}. Known are: {listed(catalogue.all())}."
        )


def _end_process(failure: threading.ExceptHookArgs) -> None:
    """A worker that has lost one of its threads would be half alive: it ends, and its jobs are
    taken over.
    """
    thread = failure.thread.name if failure.thread else "unknown"
    log.critical("the thread %s failed; this worker ends", thread, exc_info=failure.exc_value)
    logging.shutdown()
    os._exit(1)


def _close_connections() -> None:
    """No connection is to be shared by the processes that are forked now."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.vendor == "mongodb":
            connection.close_pool()  # type: ignore[attr-defined]  # MongoDB's alone has one


def _spare_the_collector() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again, and again for
    every few jobs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AT)


def _stop_on_signals(worker: Worker) -> None:
    stopped_at = 0.0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped_at
        if not worker.is_stopping:
            stopped_at = time.monotonic()
            worker.stop()
        elif time.monotonic() - stopped_at > SAME_SIGNAL_SECONDS:
            os._exit(1)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
