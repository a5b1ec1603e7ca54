"""Audit entries for what callers of the API do with the scope jobs:manage."""

import logging
from typing import cast

from rest_framework.request import Request

from audit.record import Actor, record
from clients.directory import Caller
from jobs.api.access.addresses import client_address
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)


def record_act(request: Request, action: str, target: str) -> None:
    """Record an act that has happened. It can't be undone, so a failure is logged only."""
    caller = cast("Caller", request.user)
    who = f"{caller.client} ({caller.key or 'without an API key'})"
    try:
        record(Actor(who, client_address(request.META)), action, target)
    except STORE_ERRORS as error:
        text = "%s of %s by %s is missing in the audit trail: %s"
        log.error(text, action, target, who, type(error).__name__)
