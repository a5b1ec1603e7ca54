"""Calls by hand, as `manage.py vendor` and the console make them: what is sent, and the report."""
