"""Definitions of vendors and of credentials, which the console edits as TOML."""
