"""A Django project that does as little as can be done, to stand beside ours: rows of the same
columns, views without checks.
"""
