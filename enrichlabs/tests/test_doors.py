"""Which addresses a process answers at."""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from enrichlabs.urls import open_doors


def test_the_root_leads_to_the_docs_and_admin_needs_no_slash(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/docs"
    assert client.get("/admin").headers["Location"] == "/admin/"


def test_the_docs_page_needs_no_other_host(client: Client) -> None:
    page = client.get("/docs").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) > 2
    assert [client.get(address).status_code for address in addresses] == [200] * len(addresses)
    assert "https://" not in page


def test_a_process_opens_the_doors_that_are_named_and_no_other() -> None:
    assert [str(route.pattern) for route in open_doors(["webhooks"])] == ["vendor-webhook/"]
    with pytest.raises(ImproperlyConfigured, match="SERVES names apii, but there is only api, admin, webhooks, mock."):
        open_doors(["api", "apii"])
