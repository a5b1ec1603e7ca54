"""The counters and histograms of /metrics: what the tallies say of all times."""

import math
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from jobs.storage.store import STORE_ERRORS
from jobs.tallies import read
from jobs.tallies.counts import Counts, Histogram
from vendors.catalogue import catalogue

ByVendor = Mapping[str, Counts]

# Metric and help text of each number that the tallies have a name for.
NUMBERS = {
    "jobs_accepted": ("accepted", "Jobs that were accepted."),
    "jobs_completed": ("done", "Jobs that were completed."),
    "jobs_failed": ("failed", "Jobs that failed."),
    "jobs_cancelled": ("cancelled", "Jobs that were cancelled."),
    "cost": ("cost", "What calls cost, in the vendor's own unit."),
    "cost_refunded": ("refunded", "What callbacks have taken off that cost."),
}
# The same of each event that jobs.tallies.count counts.
EVENTS = {
    "callbacks_overdue": "Jobs whose answer did not come by its deadline, by callback or poll.",
    "callbacks_refused": "Callbacks to the URL of a vendor's whole account that were refused.",
    "callbacks_unreadable": "Callbacks that could not be read.",
    "takeovers": "Jobs taken over from a dead worker or an overdue call.",
    "lost_entries": "Stream entries that Redis lost and that were added again.",
    "requeued_entries": "Pending stream entries unknown to their worker, requeued.",
    "in_flight_corrections": "In-flight slots that were leaked or missing, and corrected.",
    "limiter_rebuilds": "Times the limiter was rebuilt from the store.",
    "queue_full": "Jobs refused because the vendor's queue was full.",
    "overloaded": "Requests refused because the service was overloaded.",
    "slow_commits": "Commits to the store that took longer than a second.",
}
OF_SERVICE = ("overloaded", "slow_commits")  # rather than of a vendor
# The same of each counter with a label: the name in Counts, and the label.
LABELLED = {
    "attempts": ("calls", "outcome", "Calls of the vendor that ended, by outcome."),
    "polls": ("polls", "outcome", "Polls of the vendor that ended, by outcome."),
    "call_errors": ("call_codes", "code", "Calls and polls that failed, by error code."),
    "job_errors": ("job_codes", "code", "Jobs that failed, by error code."),
}
HISTOGRAMS = {
    "call_seconds": ("call", "How long calls of the vendor took."),
    "job_seconds": ("job", "From the acceptance of a job to its end."),
    "wait_seconds": ("wait", "From the acceptance of a job to its first call."),
}


def tally_metrics() -> Iterator[Metric]:
    """Yield nothing while the store is away: a counter that is missing does not fall."""
    try:
        totals = read.totals()
        catalogue.all()
    except STORE_ERRORS:
        return
    for name, (field, description) in NUMBERS.items():
        numbers = {slug: getattr(totals[slug], field) for slug in totals}
        if field == "cost":  # a counter that falls would look like a restart
            numbers = {slug: cost + totals[slug].refunded for slug, cost in numbers.items()}
        yield _counter(name, description, numbers)
    for name, description in EVENTS.items():
        yield _events(name, description, totals)
    for name, (field, label, description) in LABELLED.items():
        yield _labelled(name, description, totals, field, label)
    for name, (field, description) in HISTOGRAMS.items():
        yield _histogram(name, description, {slug: getattr(totals[slug], field) for slug in totals})


def _events(name: str, description: str, totals: ByVendor) -> Metric:
    """Return a counter that begins at 0: Prometheus takes the first number that it sees for the
    beginning, and its alerts would miss what happened first.
    """
    numbers = dict.fromkeys([""] if name in OF_SERVICE else catalogue.all(), 0)
    numbers |= {slug: count for slug in totals if (count := totals[slug].events[name])}
    family = CounterMetricFamily(f"enrichlabs_{name}", description)
    for slug, count in numbers.items():
        family.add_sample(f"enrichlabs_{name}_total", _labels(slug), count)
    return family


def _counter(name: str, description: str, by_vendor: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"enrichlabs_{name}", description)
    for slug, number in by_vendor.items():
        if number:
            family.add_sample(f"enrichlabs_{name}_total", _labels(slug), number)
    return family


def _labelled(name: str, description: str, totals: ByVendor, field: str, label: str) -> Metric:
    family = CounterMetricFamily(f"enrichlabs_{name}", description)
    for slug, counts in totals.items():
        for value, counted in sorted(getattr(counts, field).items()):
            labels = {**_labels(slug), label: value}
            family.add_sample(f"enrichlabs_{name}_total", labels, counted)
    return family


def _histogram(name: str, description: str, by_vendor: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"enrichlabs_{name}", description)
    for slug, histogram in by_vendor.items():
        if histogram.count:
            labels = _labels(slug)
            for bound, count in list(histogram.cumulative())[1::2]:  # enough for Prometheus
                le = "+Inf" if bound == math.inf else f"{bound:.4g}"
                family.add_sample(f"{family.name}_bucket", {**labels, "le": le}, count)
            family.add_sample(f"{family.name}_count", labels, histogram.count)
            family.add_sample(f"{family.name}_sum", labels, histogram.total)
    return family


def _labels(slug: str) -> dict[str, str]:
    return {"vendor": slug} if slug else {}
