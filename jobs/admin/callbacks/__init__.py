"""Callbacks in the console: the list, and the page of one callback."""
