"""Adapters of tests about callbacks."""

from webhooks.tests.adapters import Careless, Forgetful, Picky

__all__ = ["Careless", "Forgetful", "Picky"]
