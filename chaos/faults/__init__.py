"""The faults of a campaign. Each strikes one part of the system for some seconds, then heals it."""

from chaos.faults import endpoints, limits, redis, store, vendors, workers
from chaos.faults.kind import Kind

__all__ = ["KINDS", "Kind"]

KINDS: dict[str, Kind] = {
    name: kind
    for module in (workers, redis, endpoints, store, vendors, limits)
    for name, kind in module.KINDS.items()
}
