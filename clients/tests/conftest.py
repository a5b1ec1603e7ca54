import pytest

from audit.record import Actor
from clients import issuing
from clients.models import Client

OPERATOR = Actor("operator", "192.0.2.1")


@pytest.fixture
def make_client(db):
    """Return a function that makes a client."""

    def make(slug="billing", **fields):
        return Client.objects.create(slug=slug, **fields)

    return make


@pytest.fixture
def make_key(make_client):
    """Return a function that creates an API key, of a new client unless one is given."""

    def make(client=None, **fields):
        defaults = {"name": "nightly import", "scopes": "jobs:read"}
        return issuing.create(client or make_client(), OPERATOR, **{**defaults, **fields})

    return make
