"""POST /batches: from the bytes of a request to the rows of a batch (upload.py)."""
