"""Gauges of the keys of credentials, for /metrics."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from enrichlabs.web.health import client
from jobs.recovery import unusable
from vendors.models import Credential, Vendor


def key_gauges(vendors: Iterable[Vendor], now: datetime) -> Iterator[Metric]:
    """Return which keys of the credentials that vendors use are paused, and which ones no live
    worker can use.
    """
    paused = GaugeMetricFamily("enrichlabs_key_paused", "1 if the key is paused, else 0.")
    description = "1 if no live worker can use the key, such as because it is not set, else 0."
    unused = GaugeMetricFamily("enrichlabs_key_unused", description)
    used = {vendor.credential.slug: vendor.credential for vendor in vendors if vendor.credential}
    nowhere = unusable.everywhere(unusable.reports(client())) if used else {}
    for slug, credential in sorted(used.items()):
        for name in credential.key_names:
            labels = {"credential": slug, "key": name}
            paused.add_sample(paused.name, labels, int(_is_paused(credential, name, now)))
            unused.add_sample(unused.name, labels, int(f"{slug}/{name}" in nowhere))
    yield from (paused, unused)


def _is_paused(credential: Credential, name: str, now: datetime) -> bool:
    row = credential.states.get(name)
    return row is not None and row.is_paused(now)
