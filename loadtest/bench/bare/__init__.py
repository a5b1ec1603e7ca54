"""A minimal Django project to compare ours with: the same columns, but no checks."""
