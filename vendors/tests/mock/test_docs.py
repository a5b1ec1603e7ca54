"""docs/mock-vendors.md has every knob, with an example that works."""

import base64
import re
from pathlib import Path

import pytest
from django.test import Client

from vendors.mock.knobs import _Form

TEXT = (Path(__file__).parents[3] / "docs/mock-vendors.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| `")
]


def test_every_knob_is_documented() -> None:
    assert [row[0].strip("`") for row in ROWS] == list(_Form.base_fields)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_example_answers_as_documented(
    row: list[str], client: Client, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "MOCK_WEBHOOK_SECRET", "whsec_" + base64.b64encode(b"twenty-four secret bytes").decode()
    )
    monkeypatch.setattr("vendors.mock.views.scheduler.post", lambda callback, delay: None)
    knob, *_, example, status = (cell.strip("`") for cell in row)
    assert f"{knob}=" in example
    body = {
        "name": "John Doe",
        "callback_url": f"{settings.PUBLIC_URL}/vendor-webhook/async/1?token=t",
    }
    answer = client.post(f"/mock-vendors/{example}", body, content_type="application/json")
    assert str(answer.status_code) == status or not status
    assert (answer.get("Retry-After") == "7") == (knob == "retry_after")


def test_the_documented_urls_exist(client: Client, settings: object) -> None:
    body = {"name": "John Doe", "callback_url": f"{settings.PUBLIC_URL}/"}
    urls = re.findall(r"http://127\.0\.0\.1:8001(/mock-vendors/[a-z]+\S*?)[\"']", TEXT)
    assert len(urls) == 4
    for url in urls:
        call = (
            client.get(url)
            if "ledger" in url
            else client.post(url.replace("latency=2&", ""), body, content_type="application/json")
        )
        assert call.status_code in (200, 202, 503)
