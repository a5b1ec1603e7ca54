"""How often vendors may be called: windows that slide, and quotas by the calendar."""

from vendors.limits.quotas import Quota, Range
from vendors.limits.windows import MAX_CALLS, MAX_WINDOW_SECONDS, Window, parse

__all__ = ["MAX_CALLS", "MAX_WINDOW_SECONDS", "Quota", "Range", "Window", "parse"]
