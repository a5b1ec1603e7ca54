"""The adapters of the callback tests."""

from webhooks.tests.adapters import Careless, Forgetful, Picky, Referring, Unstorable

__all__ = ["Careless", "Forgetful", "Picky", "Referring", "Unstorable"]
