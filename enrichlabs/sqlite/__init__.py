"""SQLite as a store: Django's backend, which also detects that its file was removed or replaced."""
