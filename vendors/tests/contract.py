"""What every adapter must do: inherit this class in a test, and name the adapter in `adapter`."""

import json
from collections.abc import Callable

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Accepted, Adapter, Call, Done, VendorError
from vendors.models import Vendor
from vendors.registry import make_adapter

CALL = Call(
    job_id="0190-job",
    input={"name": "John Doe", "city": "Basel"},
    idempotency_key="0190-job:2",
    callback_url="http://127.0.0.1:9/vendor-webhook/acme/0190-job?token=t",
)


class AdapterContract:
    adapter: str

    def make(self, server: Server, **fields: object) -> Adapter:
        fields = {"adapter": self.adapter, "url": server.url, "timeout_seconds": 5, **fields}
        return make_adapter(Vendor(slug="acme", **fields))

    def error_of(self, server: Server, **fields: object) -> VendorError:
        with pytest.raises(VendorError) as caught:
            self.make(server, **fields).call(CALL)
        assert "John" not in caught.value.message
        return caught.value

    def head_of(self, server: Server) -> list[str]:
        return server.requests[-1].partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")

    def test_a_2xx_returns_done_or_accepted(self, serve: Callable[..., Server]) -> None:
        assert isinstance(self.make(serve(answering(reply()))).call(CALL), Done | Accepted)

    def test_the_input_is_posted_with_an_idempotency_key(
        self, serve: Callable[..., Server]
    ) -> None:
        server = serve(answering(reply()))
        self.make(server).call(CALL)
        body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        assert CALL.input.items() <= body.items()
        head = self.head_of(server)
        expected = {"idempotency-key: 0190-job:2", "content-type: application/json"}
        assert {"post / http/1.1", *expected} <= set(head)
        assert any(line.startswith("user-agent: enrichlabs/") for line in head)

    def test_the_api_key_is_sent_as_a_bearer_token(
        self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(answering(reply()))
        monkeypatch.setenv("VENDOR_ACME_API_KEY", " k3y\n")
        self.make(server, api_key_env="VENDOR_ACME_API_KEY").call(CALL)
        assert "authorization: bearer k3y" in self.head_of(server)

    def test_no_authorization_is_sent_without_an_api_key(
        self, serve: Callable[..., Server]
    ) -> None:
        server = serve(answering(reply()))
        self.make(server).call(CALL)
        assert not any(line.startswith("authorization") for line in self.head_of(server))

    @pytest.mark.parametrize("key", [None, "", "ключ", "k\x00y"])
    def test_an_unusable_api_key_prevents_the_call(
        self, key: str | None, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(answering(reply()))
        monkeypatch.setattr("os.environ", {} if key is None else {"VENDOR_ACME_API_KEY": key})
        error = self.error_of(server, api_key_env="VENDOR_ACME_API_KEY")
        assert (error.code, error.permanent, error.outage, error.outcome_known) == (
            "api_key_missing",
            False,
            False,
            True,
        )
        assert "VENDOR_ACME_API_KEY" in error.message
        assert server.visits == 0

    @pytest.mark.parametrize(("repeat_unknown", "visits"), [(True, 1), (False, 2)])
    def test_a_vendor_with_repeat_unknown_off_gets_fresh_connections(
        self, repeat_unknown: bool, visits: int, serve: Callable[..., Server]
    ) -> None:
        server = serve(answering(reply()))
        adapter = self.make(server, repeat_unknown=repeat_unknown)
        for _ in range(2):
            adapter.call(CALL)
        assert server.visits == visits

    def test_the_vendors_timeout_is_enforced(self, serve: Callable[..., Server]) -> None:
        error = self.error_of(serve(Visit.hang), timeout_seconds=0.2)
        assert (error.code, error.outcome_known) == ("timeout", False)

    @pytest.mark.parametrize(
        ("status", "code"), [("500 Oops", "vendor_error"), ("422 No", "invalid_input")]
    )
    def test_a_failure_is_raised_as_vendor_error(
        self, status: str, code: str, serve: Callable[..., Server]
    ) -> None:
        assert self.error_of(serve(answering(reply(status)))).code == code

    def test_a_callback_is_the_result(self, serve: Callable[..., Server]) -> None:
        adapter = self.make(serve(answering(reply())))
        assert adapter.read_callback({"info": "ok"}) == Done({"info": "ok"})
