"""The OpenAPI document: what views declare (operations.py), and the rest of the contract."""
