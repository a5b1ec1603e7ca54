"""The clients of a campaign, and the API keys that they use."""

import time
from datetime import timedelta

from django.db import connection

from audit.record import command_line
from chaos.submissions import CLIENTS
from clients import issuing
from clients.models import ApiKey, Client
from jobs.storage.store import STORE_ERRORS

SCOPES = "jobs:submit, jobs:read, jobs:manage"
REQUEST_LIMITS = "1000/s"  # in force, and above what a client sends
# Longer than any fault of the store lasts, so that a failed rotation is repeated in time.
OVERLAP = timedelta(seconds=45)
AGAIN_SECONDS = 1.0


class Keyring:
    """Holds the API key of each client. Threads may use it while a key is rotated."""

    def __init__(self) -> None:
        self.rotations = 0
        self._keys: dict[str, issuing.Issued] = {}

    def create(self) -> None:
        """Create the clients and their keys. The store must be prepared."""
        for slug in CLIENTS:
            client = Client.objects.create(slug=slug, request_limits=REQUEST_LIMITS)
            self._keys[slug] = issuing.create(
                client, command_line(), name="campaign", scopes=SCOPES
            )

    def headers(self, client: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._keys[client].text}"}

    def rotate(self, client: str) -> None:
        """Replace a client's key, as soon as the store lets us."""
        pk, give_up_at = self._keys[client].key.pk, time.monotonic() + OVERLAP.total_seconds()
        while True:
            try:
                key = ApiKey.objects.get(pk=pk)
                self._keys[client] = issuing.rotate(key, command_line(), overlap=OVERLAP)
                break
            except STORE_ERRORS:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(AGAIN_SECONDS)
            finally:
                connection.close()
        self.rotations += 1
