"""Adapters of tests about callbacks."""

from webhooks.tests.adapters import Careless, Picky

__all__ = ["Careless", "Picky"]
