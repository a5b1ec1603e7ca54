import pytest

from jobs.callbacks import tokens
from webhooks.tests.signing import OLD_SECRET, SECRET


@pytest.fixture
def vendor(make_vendor):
    """A vendor that posts callbacks and does not sign them."""
    return make_vendor(adapter="async")


@pytest.fixture
def signing_vendor(make_vendor, monkeypatch):
    monkeypatch.setenv("VENDOR_ACME_WEBHOOK_SECRET", f"{SECRET},{OLD_SECRET}")
    return make_vendor(adapter="async", webhook_secret_env="VENDOR_ACME_WEBHOOK_SECRET")


@pytest.fixture
def job(vendor, make_job):
    """A job that waits for its callback."""
    return make_job(status="waiting", attempt=1)


@pytest.fixture
def signed_job(signing_vendor, make_job):
    """A job that waits for a signed callback."""
    return make_job(status="waiting", attempt=1)


@pytest.fixture
def post(client):
    """Post a callback as a vendor does, with the right token unless another is given."""

    def post(
        job,
        token=None,
        *,
        body=b'{"name": "John Doe"}',
        vendor="acme",
        content_type="application/json",
        **headers,
    ):
        job_id = getattr(job, "pk", job)
        token = tokens.make("acme", job_id, 1, 1) if token is None else token
        url = f"/vendor-webhook/{vendor}/{job_id}?token={token}"
        return client.post(url, body, content_type=content_type, headers=headers)

    return post
