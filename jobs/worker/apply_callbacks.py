"""Applies callbacks to a vendor's account URL that came before the worker recorded the reference
in them. For all other vendors it does nothing.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence

from jobs.callbacks.apply import apply_for_references
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from jobs.worker.execution import Execution
from vendors.base import Accepted
from vendors.catalogue import account_url, catalogue

log = logging.getLogger(__name__)


def apply_callbacks(executions: Sequence[Execution]) -> None:
    """Look for stored callbacks that name a reference in these recorded executions."""
    named: dict[str, list[str]] = defaultdict(list)
    for execution in executions:
        answer = execution.answer
        if isinstance(answer, Accepted) and answer.reference:
            named[execution.vendor.slug].append(answer.reference)
    for slug, names in named.items():
        vendor = catalogue.get(slug)
        if vendor and account_url(vendor):
            try:
                apply_for_references(vendor, names, redis_clock.now())
            except STORE_ERRORS as error:
                text = "callbacks of vendor %s are applied by the sweep: the store fails with %s"
                log.warning(text, slug, type(error).__name__)
