"""Batches in the console: the list, and the page of one batch."""
