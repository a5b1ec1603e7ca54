"""The fields of this app's models; its migrations name them here."""

from vendors.fields import JSONTextField

__all__ = ["JSONTextField"]
