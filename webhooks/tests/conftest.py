import pytest

from jobs.callbacks import tokens


@pytest.fixture
def post(client):
    """Post a callback as a vendor does; the token is right unless another is given."""

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
