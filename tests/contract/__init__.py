"""Schemathesis against the running service: script/contract."""
