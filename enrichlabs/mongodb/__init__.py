"""MongoDB as a store: django-mongodb-backend, with queries that its planner can answer by an index.

docs/decisions/0009-mongodb-queries.md says what was changed and why; tests/test_mongodb_plans.py
pins what comes out.
"""
