"""The database backend in DATABASES: django-mongodb-backend with our compilers and simpler
conditions.
"""

from typing import Any

from django_mongodb_backend.base import DatabaseWrapper as MongoDBWrapper
from django_mongodb_backend.operations import DatabaseOperations as MongoDBOperations


class DatabaseOperations(MongoDBOperations):
    compiler_module = "enrichlabs.mongodb.compiler"


class DatabaseWrapper(MongoDBWrapper):
    ops_class = DatabaseOperations
    # In a $match, a comparison only matches values of its own type, and null also matches a missing
    # field. The backend adds conditions for both, and no index can bound those.
    mongo_operators: dict[str, Any] = {
        **MongoDBWrapper.mongo_operators,
        "lt": lambda column, value: {column: {"$lt": value}},
        "lte": lambda column, value: {column: {"$lte": value}},
        "isnull": lambda column, is_null: {column: None} if is_null else {column: {"$ne": None}},
    }
