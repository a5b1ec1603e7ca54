"""The database backend in DATABASES: django-mongodb-backend with our compilers and simpler
conditions.
"""

from typing import Any

from django_mongodb_backend.base import DatabaseWrapper as MongoDBWrapper
from django_mongodb_backend.operations import DatabaseOperations as MongoDBOperations
from django_mongodb_backend.schema import DatabaseSchemaEditor as MongoDBSchemaEditor


class DatabaseOperations(MongoDBOperations):
    compiler_module = "enrichlabs.mongodb.compiler"


class SchemaEditor(MongoDBSchemaEditor):
    """A migration that was interrupted is repeated from its beginning, and finds collections that
    exist. For indexes, the server sees to that.
    """

    def create_model(self, model: Any) -> None:
        if model._meta.db_table in self.connection.introspection.table_names():
            self._create_model_indexes(model)
        else:
            super().create_model(model)


class DatabaseWrapper(MongoDBWrapper):
    ops_class = DatabaseOperations
    SchemaEditorClass = SchemaEditor
    # In a $match, a comparison only matches values of its own type, and null also matches a missing
    # field. The backend adds conditions for both, and no index can bound those.
    mongo_operators: dict[str, Any] = {
        **MongoDBWrapper.mongo_operators,
        "lt": lambda column, value: {column: {"$lt": value}},
        "lte": lambda column, value: {column: {"$lte": value}},
        "isnull": lambda column, is_null: {column: None} if is_null else {column: {"$ne": None}},
    }
