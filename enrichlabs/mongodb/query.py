"""The query that is sent: one flat $match with the $sort right after it, so that an index can serve
both.
"""

from typing import Any

from django_mongodb_backend.query import MongoQuery

Document = dict[str, Any]


class FlatQuery(MongoQuery):
    """Builds a pipeline that MongoDB can answer from an index."""

    @property
    def match_mql(self) -> Document:
        return self._match

    @match_mql.setter
    def match_mql(self, condition: Document) -> None:
        self._match = flat(condition)

    @property
    def project_fields(self) -> Document | None:
        return self._projection

    @project_fields.setter
    def project_fields(self, projection: Document | None) -> None:
        self._projection = dotted(projection or {})

    def get_pipeline(self) -> list[Document]:
        if not self._sorts_documents():
            pipeline: list[Document] = super().get_pipeline()
            return pipeline
        # MongoDB sorts by an index only if nothing but a $match precedes the $sort. The backend
        # puts the $project first.
        skip, end = self.query.low_mark, self.query.high_mark
        stages = {
            "$match": self.match_mql,
            "$sort": self.ordering,
            "$skip": skip,
            "$limit": 0 if end is None else end - skip,
            "$project": self.project_fields,
        }
        return [{name: stage} for name, stage in stages.items() if stage]

    def _sorts_documents(self) -> bool:
        """Whether it only finds documents and sorts them by their own columns."""
        computes = (
            self.search_pipeline,
            self.lookup_pipeline,
            self.subqueries,
            self.aggregation_pipeline,
            self.combinator_pipeline,
            self.subquery_lookup,
        )
        columns = {field.column for field in self.query.get_meta().concrete_fields}
        return bool(self.ordering) and not any(computes) and columns.issuperset(self.ordering)


def flat(condition: Document) -> Document:
    """Return the same condition with the parts of $and in one document, as far as their keys are
    distinct.
    """
    found: Document = {}
    clashing: list[Document] = []
    for part in _conjuncts(condition):
        for key, value in part.items():
            if key not in found:
                found[key] = value
            elif _can_merge(found[key], value):
                found[key] = {**found[key], **value}
            else:
                clashing.append({key: value})
    return {**found, "$and": clashing} if clashing else found


def dotted(projection: Document) -> Document:
    """Return the same projection with paths for columns of joined documents: some servers don't
    accept {"a": {"b": 1}}. An expression, such as {"a": {"$literal": 1}}, stays as it is.
    """
    found: Document = {}
    for key, value in projection.items():
        if isinstance(value, dict) and value and all(_is_column(each) for each in value.items()):
            found.update({f"{key}.{name}": 1 for name in value})
        else:
            found[key] = value
    return found


def _is_column(item: tuple[str, Any]) -> bool:
    name, value = item
    return value == 1 and not name.startswith("$")


def _conjuncts(condition: Document) -> list[Document]:
    inner = [part for each in condition.get("$and", ()) for part in _conjuncts(each)]
    rest = {key: value for key, value in condition.items() if key != "$and"}
    return [*inner, rest] if rest else inner


def _can_merge(one: Any, other: Any) -> bool:
    """Whether both are operators on one column, such as $gte and $lt."""
    for each in (one, other):
        if not isinstance(each, dict) or not all(key.startswith("$") for key in each):
            return False
    return not one.keys() & other.keys()
