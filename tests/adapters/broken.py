"""A module that can't be imported."""

BROKEN = 1 / 0
