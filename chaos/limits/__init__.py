"""Limits that several vendors share, and the pool of keys that they are called with."""
