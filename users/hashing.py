"""Password hashes, at most two at a time.

A hash takes a third of a second of a core on purpose. Many at once would keep a process from
everything else that it serves.
"""

from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth import hashers

MAX_AT_A_TIME = 2

_slots = BoundedSemaphore(MAX_AT_A_TIME)


class PBKDF2PasswordHasher(hashers.PBKDF2PasswordHasher):
    """Django's, which all stored passwords were made with."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with _slots:
            return super().encode(password, salt, iterations)

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """Return what the page of a user shows: nothing of the hash."""
        decoded = self.decode(encoded)
        return {name: decoded[name] for name in ("algorithm", "iterations")}
