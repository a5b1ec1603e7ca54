"""The console at a glance: each vendor with what is in its stream and in flight."""

from typing import Any

import redis
from django import template
from django.utils import timezone

from jobs.admin import shown
from jobs.keys import Keys
from jobs.redis import hints
from vendors.catalogue import catalogue

register = template.Library()


@register.inclusion_tag("admin/jobs/glance.html", takes_context=True)
def glance(context: dict[str, Any]) -> dict[str, Any]:
    may = context["request"].user.has_perm
    if not may("vendors.view_vendor"):
        return {}
    vendors, now = catalogue.all(), timezone.now()
    depths = _depths(list(vendors))
    rows = [(vendor, shown.pause(vendor, now), *depths.get(slug, ("?", "?"))) for slug, vendor in vendors.items()]
    return {"rows": rows, "redis_away": bool(vendors) and not depths, "shows_jobs": may("jobs.view_job")}


def _depths(slugs: list[str]) -> dict[str, tuple[int, int]]:
    """Return for each vendor how many entries are in its streams and how many jobs in flight; nothing with Redis away."""
    pipeline = hints().pipeline(transaction=False)
    for keys in map(Keys, slugs):
        pipeline.xlen(keys.jobs).xlen(keys.again).zcard(keys.flight)
    try:
        counts = pipeline.execute()
    except redis.RedisError:
        return {}
    triples = zip(*[iter(counts)] * 3, strict=True)
    return {slug: (jobs + again, flight) for slug, (jobs, again, flight) in zip(slugs, triples, strict=True)}
