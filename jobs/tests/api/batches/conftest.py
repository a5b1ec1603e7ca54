"""What the tests of posting batches share."""

import json
from io import BytesIO

import pytest
from django.utils.http import urlencode

LINES = "application/x-ndjson"
JOHN = {"vendor": "acme", "name": "John Doe"}


def lines_of(items):
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


class CutShort(BytesIO):
    """A body whose client disconnects before its end."""

    def read(self, size=-1):
        data = super().read(size)
        if size and not data:
            raise ConnectionResetError
        return data


class Batches:
    """Posts batches, as JSON or as lines."""

    def __init__(self, client):
        self._client = client

    def json(self, jobs, key=None, headers=(), **fields):
        body = json.dumps({"jobs": jobs, **fields})
        return self.send(body, "application/json", key, headers)

    def lines(self, items, key="k-1", **parameters):
        content_type = parameters.pop("content_type", LINES)
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in parameters.items()
        }
        body = items if isinstance(items, bytes) else lines_of(items)
        return self.send(body, content_type, key, QUERY_STRING=urlencode(texts))

    def cut(self, items, key="k-1", stream=CutShort, headers=()):
        """Post lines, and disconnect after them, before the end."""
        body = lines_of(items)
        more = {"wsgi.input": stream(body), "CONTENT_LENGTH": str(len(body) + 1)}
        answer = self.send(body, LINES, key, headers, **more)
        assert (answer.status_code, answer.json()["code"]) == (400, "body_cut_short")
        return answer

    def send(self, body, content_type, key=None, headers=(), **more):
        headers = {**dict(headers), **({"Idempotency-Key": key} if key else {})}
        return self._client.post(
            "/batches", body, content_type=content_type, headers=headers, **more
        )


@pytest.fixture
def api(client):
    return Batches(client)


@pytest.fixture
def acme(make_vendor):
    return make_vendor("acme")
