"""The adapters of the callback tests."""

from webhooks.tests.adapters import Careless, Forgetful, Picky, Referring

__all__ = ["Careless", "Forgetful", "Picky", "Referring"]
