"""The batches API: items in, one file of results out."""
