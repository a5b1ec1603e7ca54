"""The adapter of the life machine."""

from jobs.tests.life_worker import Reader

__all__ = ["Reader"]
