"""A query as it is sent: one flat condition, and the sort right behind it, so that an index can
serve both.
"""

from typing import Any

from django_mongodb_backend.query import MongoQuery

Document = dict[str, Any]


class FlatQuery(MongoQuery):
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
        # MongoDB sorts by an index only where nothing but a $match comes before the $sort; the
        # backend projects first.
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
        """Whether it only finds documents and sorts them by columns of their own."""
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
    """Return the same condition with what is joined by $and in one document, as far as no key would
    stand twice.
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
    """Return the same projection with columns of joined documents by their paths: not every server
    takes {"a": {"b": 1}}.
    """
    found: Document = {}
    for key, value in projection.items():
        if isinstance(value, dict) and value and all(inner == 1 for inner in value.values()):
            found.update({f"{key}.{name}": 1 for name in value})
        else:
            found[key] = value
    return found


def _conjuncts(condition: Document) -> list[Document]:
    inner = [part for each in condition.get("$and", ()) for part in _conjuncts(each)]
    rest = {key: value for key, value in condition.items() if key != "$and"}
    return [*inner, rest] if rest else inner


def _can_merge(one: Any, other: Any) -> bool:
    """Whether both are operators on one column, such as $gte and $lt."""
    both = (one, other)
    return all(
        isinstance(each, dict) and all(key.startswith("$") for key in each) for each in both
    ) and not (one.keys() & other.keys())
