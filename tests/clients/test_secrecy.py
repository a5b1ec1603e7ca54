"""An API key leaves no trace: not in the log, nor Redis, nor the store, nor an answer."""

import json
import subprocess
import sys

import pytest
from django.apps import apps
from django.db import connection

from harness import raw
from harness.clients import make_client, make_key
from harness.running import ROOT, environment
from tests.conftest import store_url

# Each has the key in one place; most are not valid.
REQUESTS = [
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n",
    "GET /vendors HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n",
    "GET /jobs?cursor=x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: evil\r\nAuthorization: Bearer {key}\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}x\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\xe9\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization : Bearer {key}\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n {key}\r\n\r\n",
    "GET /jobs HTTP/1.1\r\nHost: localhost\r\n{key}\r\n\r\n",
    "GET /jobs\xe9 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n",
    "POST /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{{",
    "POST /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    'Content-Type: application/json\r\nContent-Length: 31\r\n\r\n{{"vendor": "acme", "name": "J"}}',
    "POST /jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    "Content-Length: 99999999\r\n\r\n",
    "POST /batches HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: 1"
    '\r\nContent-Type: application/x-ndjson\r\nContent-Length: 16\r\n\r\n{{"vendor": "x"}}',
    "POST /jobs/x/cancel HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    "Origin: https://evil\r\nContent-Length: 0\r\n\r\n",
]


@pytest.fixture
def service(serve_api, make_vendor, tmp_path):
    """Return a function that sends a request, and one that returns the log."""
    make_vendor("acme")
    [port] = serve_api(LOG_LEVEL="DEBUG", DEBUG=1, SERVES="api,metrics,admin,webhooks,mock")

    def log() -> str:
        return (tmp_path / f"gunicorn-{port}.log").read_text()

    return port, log


def test_a_key_leaves_no_trace(service, redis_client, valkey, tmp_path):
    port, log = service
    make_client("team-a", request_limits="1000/s")
    key = make_key()
    secret = key[12:44]
    statuses = set()
    for request in REQUESTS:
        response, body = raw.ask(port, request.format(key=key).encode("latin-1"))
        statuses.add(response.status)
        assert secret not in body.decode() + repr(response.getheaders())
    assert {200, 202, 400, 401, 403} <= statuses
    for text in (log(), contents_of(redis_client), rows(), exported(valkey, tmp_path)):
        assert text
        assert secret not in text
    assert "Requests refused without a valid API key" in log()


def contents_of(redis) -> str:
    """Return everything in Redis as text."""
    readers = {
        "string": lambda name: redis.get(name),
        "list": lambda name: redis.lrange(name, 0, -1),
        "hash": lambda name: redis.hgetall(name),
        "zset": lambda name: redis.zrange(name, 0, -1, withscores=True),
        "stream": lambda name: redis.xrange(name),
        "set": lambda name: redis.smembers(name),
    }
    return repr({name: readers[redis.type(name)](name) for name in redis.scan_iter("*")})


def rows() -> str:
    """Return all rows of the store as text."""
    models = [model for model in apps.get_models() if model._meta.managed]
    return repr([list(model.objects.values()) for model in models if hasattr(model, "objects")])


def exported(valkey, folder) -> str:
    target = folder / "export.jsonl"
    command = [sys.executable, "manage.py", "export", str(target)]
    settings = {"DATABASE_URL": store_url(), "REDIS_URL": valkey.url}
    connection.close()
    subprocess.run(command, cwd=ROOT, env=environment(folder, **settings), check=True)
    text = target.read_bytes().decode("latin-1")
    assert "team-a" in text or text.startswith("\x1f")
    return json.dumps(text)
