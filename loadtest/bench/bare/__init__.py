"""A minimal Django project to compare ours with: rows with the same columns, views without checks."""
