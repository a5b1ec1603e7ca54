"""The backend that DATABASES names: django-mongodb-backend with our compilers and plainer
conditions.
"""

from typing import Any

from django_mongodb_backend.base import DatabaseWrapper as MongoDBWrapper
from django_mongodb_backend.operations import DatabaseOperations as MongoDBOperations


class DatabaseOperations(MongoDBOperations):
    compiler_module = "enrichlabs.mongodb.compiler"


class DatabaseWrapper(MongoDBWrapper):
    ops_class = DatabaseOperations
    # In a condition, a comparison finds values of its own type only, and null also what is missing:
    # the backend says both once more, by an $or or a second condition, for which no index has
    # bounds.
    mongo_operators: dict[str, Any] = {
        **MongoDBWrapper.mongo_operators,
        "lt": lambda column, value: {column: {"$lt": value}},
        "lte": lambda column, value: {column: {"$lte": value}},
        "isnull": lambda column, is_null: {column: None} if is_null else {column: {"$ne": None}},
    }
