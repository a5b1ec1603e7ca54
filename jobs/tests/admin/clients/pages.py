"""What tests of the pages of API keys share."""

from django.utils import timezone

from clients.directory import Directory
from clients.keys import FORM

KEYS = "/admin/clients/apikey/"


def fields_for(owner, **fields):
    scopes = ["jobs:submit", "jobs:read"]
    empty = {"vendors": "", "addresses": "", "expires_at": ""}
    return {"client": owner.pk, "name": "import", "scopes": scopes, **empty, **fields}


def key_in(response):
    [key] = FORM.findall(response.content.decode())
    return key


def is_valid(key):
    return Directory().find(key, "192.0.2.7", timezone.now()) is not None
