"""What every adapter must do. A test class inherits this and says in `adapter` which one it is
about.
"""

import json
from collections.abc import Callable

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Accepted, Adapter, Call, Done, VendorError
from vendors.models import Vendor
from vendors.registry import adapter_class

CALL = Call(
    job_id="0190-job",
    input={"name": "John Doe", "city": "Basel"},
    idempotency_key="0190-job:2",
    callback_url="http://127.0.0.1:9/vendor-webhook/acme/0190-job?token=t",
)


class AdapterContract:
    adapter: str

    def make(self, server: Server, **fields: object) -> Adapter:
        vendor = Vendor(
            slug="acme", adapter=self.adapter, url=server.url, **{"timeout_seconds": 5, **fields}
        )
        return adapter_class(self.adapter)(vendor)

    def error_of(self, server: Server, **fields: object) -> VendorError:
        with pytest.raises(VendorError) as caught:
            self.make(server, **fields).call(CALL)
        assert "John" not in caught.value.message
        return caught.value

    def head_of(self, server: Server) -> list[str]:
        return server.requests[-1].partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")

    def test_a_good_answer_is_one_of_two(self, serve: Callable[..., Server]) -> None:
        assert isinstance(self.make(serve(answering(reply()))).call(CALL), Done | Accepted)

    def test_the_input_is_posted_with_a_key_that_tells_a_repeat(
        self, serve: Callable[..., Server]
    ) -> None:
        server = serve(answering(reply()))
        self.make(server).call(CALL)
        body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        assert CALL.input.items() <= body.items()
        assert {
            "post / http/1.1",
            "idempotency-key: 0190-job:2",
            "content-type: application/json",
        } <= set(self.head_of(server))
        assert any(line.startswith("user-agent: enrichlabs/") for line in self.head_of(server))

    def test_the_api_key_goes_as_a_bearer_token(
        self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(answering(reply()))
        monkeypatch.setenv("VENDOR_ACME_API_KEY", " k3y\n")
        self.make(server, api_key_env="VENDOR_ACME_API_KEY").call(CALL)
        assert "authorization: bearer k3y" in self.head_of(server)

    def test_without_an_api_key_none_is_sent(self, serve: Callable[..., Server]) -> None:
        server = serve(answering(reply()))
        self.make(server).call(CALL)
        assert not any(line.startswith("authorization") for line in self.head_of(server))

    @pytest.mark.parametrize("key", [None, "", "ключ", "k\x00y"])
    def test_an_api_key_that_can_not_be_sent_stops_the_call(
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
    def test_a_vendor_not_to_be_called_twice_gets_fresh_connections(
        self, repeat_unknown: bool, visits: int, serve: Callable[..., Server]
    ) -> None:
        server = serve(answering(reply()))
        adapter = self.make(server, repeat_unknown=repeat_unknown)
        for _ in range(2):
            adapter.call(CALL)
        assert server.visits == visits

    def test_the_timeout_of_the_vendor_holds(self, serve: Callable[..., Server]) -> None:
        error = self.error_of(serve(Visit.hang), timeout_seconds=0.2)
        assert (error.code, error.outcome_known) == ("vendor_timeout", False)

    @pytest.mark.parametrize(
        ("status", "code"), [("500 Oops", "vendor_error"), ("422 No", "vendor_refused")]
    )
    def test_a_failure_is_raised_as_the_one_exception(
        self, status: str, code: str, serve: Callable[..., Server]
    ) -> None:
        assert self.error_of(serve(answering(reply(status)))).code == code

    def test_a_callback_brings_the_result(self, serve: Callable[..., Server]) -> None:
        adapter = self.make(serve(answering(reply())))
        assert adapter.read_callback({"info": "ok"}) == Done({"info": "ok"})
