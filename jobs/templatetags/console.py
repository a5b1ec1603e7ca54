"""What templates of the console show values with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from clients.directory import directory
from jobs.admin import formats
from jobs.admin.page import navigation, reader, texts

register = template.Library()


@register.simple_tag
def is_open() -> bool:
    """Whether requests without an API key are accepted."""
    return settings.ALLOW_ANONYMOUS and directory.anonymous() is not None


@register.simple_tag
def list_of(kind: str, **filters: str) -> str:
    """Return the URL of a list of jobs or callbacks with these filters."""
    chosen = "&".join(f"{name}={value}" for name, value in filters.items())
    return reverse(f"admin:jobs_{kind}_changelist") + f"?{chosen}"


register.filter("number", texts.number)
register.filter("span", texts.span)
register.filter("share", texts.share)
register.simple_tag(texts.ago, name="ago")
register.simple_tag(texts.bar, name="bar")
register.simple_tag(formats.badge, name="badge")


@register.simple_tag(takes_context=True)
def moment(context: dict[str, Any], at: datetime | None, style: str = "") -> SafeString:
    return texts.moment(at, reader.zone(_cookies(context)), style)


@register.simple_tag(takes_context=True)
def theme(context: dict[str, Any]) -> str:
    """Return the colours that the reader chose: auto, light or dark."""
    return reader.theme(_cookies(context))


@register.simple_tag(takes_context=True)
def zone_name(context: dict[str, Any]) -> str:
    return reader.zone_name(reader.zone(_cookies(context)), timezone.now())


@register.inclusion_tag("console/navigation.html", takes_context=True)
def navigation_links(context: dict[str, Any]) -> dict[str, Any]:
    request = context["request"]
    return {"items": navigation.items(request.user, request.path)}


def _cookies(context: dict[str, Any]) -> Mapping[str, str]:
    request = context.get("request")
    return request.COOKIES if request else {}
