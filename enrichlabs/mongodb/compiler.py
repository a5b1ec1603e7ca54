"""The backend's compilers, with flat queries (query.py) that read only the requested columns."""

from typing import Any

from django_mongodb_backend import compiler as mongodb

from enrichlabs.mongodb.query import FlatQuery


class SQLCompiler(mongodb.SQLCompiler):
    query_class = FlatQuery

    def build_query(self, columns: Any = None) -> FlatQuery:
        # For only() and defer(), which the backend supports from 6.0.1 on.
        names, is_deferred = self.query.deferred_loading
        if columns is None and self.query.default_cols and (names or not is_deferred):
            columns = self.columns
        query: FlatQuery = super().build_query(columns)
        return query


class SQLInsertCompiler(mongodb.SQLInsertCompiler):
    pass


class SQLUpdateCompiler(mongodb.SQLUpdateCompiler):
    query_class = FlatQuery


class SQLDeleteCompiler(mongodb.SQLDeleteCompiler):
    query_class = FlatQuery


class SQLAggregateCompiler(mongodb.SQLAggregateCompiler):
    query_class = FlatQuery
