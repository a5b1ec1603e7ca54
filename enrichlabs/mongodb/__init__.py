"""MongoDB as a store: django-mongodb-backend, with queries that MongoDB can answer from an index.

docs/decisions/0009-mongodb-queries.md says what is changed and why. tests/test_mongodb_plans.py
asserts the resulting queries.
"""
