import json
from types import SimpleNamespace

import pytest

LINES = "application/x-ndjson"


def lines_of(items):
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


@pytest.fixture
def acme(make_vendor):
    return make_vendor("acme")


@pytest.fixture
def api(client):
    """Posts batches: `json` as an array, `lines` as lines."""

    def post_json(jobs, key=None, headers=(), **fields):
        body = {"jobs": jobs, **fields}
        return _post(json.dumps(body), "application/json", key, headers)

    def post_lines(items, key="k-1", headers=(), content_type=LINES, **parameters):
        body = items if isinstance(items, bytes) else lines_of(items)
        return _post(body, content_type, key, headers, QUERY_STRING=_query(parameters))

    def _post(body, content_type, key, headers, **more):
        headers = {**dict(headers), **({"Idempotency-Key": key} if key else {})}
        return client.post("/batches", body, content_type=content_type, headers=headers, **more)

    return SimpleNamespace(json=post_json, lines=post_lines)


def _query(parameters):
    from django.utils.http import urlencode

    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in parameters.items()
    }
    return urlencode(texts)
