"""The OpenAPI document: what views declare (jobs/api/schema.py), and the rest of the contract."""
