"""SQLite as a store: Django's backend, which also notices that the file under it was removed or
replaced.
"""
