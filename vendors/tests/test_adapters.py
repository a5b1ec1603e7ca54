import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Accepted, Done
from vendors.tests.contract import CALL, AdapterContract


class TestSync(AdapterContract):
    adapter = "sync"

    @pytest.mark.parametrize("status", ["200 OK", "201 Created"])
    def test_a_json_object_is_the_result(self, status: str, serve: Callable[..., Server]) -> None:
        server = serve(answering(reply(status, body=b'{"info": " as it came "}')))
        assert self.make(server).call(CALL) == Done({"info": " as it came "})
        assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2]) == CALL.input

    @pytest.mark.parametrize("body", [b"", b"[1]", b"<html>"])
    def test_any_other_body_is_a_bad_reply(self, body: bytes, serve: Callable[..., Server]) -> None:
        assert self.error_of(serve(answering(reply(body=body)))).code == "bad_reply"


class TestAsync(AdapterContract):
    adapter = "async"

    @pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "204 No Content"])
    def test_any_2xx_accepts(self, status: str, serve: Callable[..., Server]) -> None:
        server = serve(answering(reply(status, body=b"" if "204" in status else b"<html>")))
        assert self.make(server).call(CALL) == Accepted()

    def test_an_incomplete_body_still_accepts(self, serve: Callable[..., Server]) -> None:
        def talk(visit: Visit) -> None:
            visit.read_request()
            visit.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\n{")

        assert self.make(serve(talk)).call(CALL) == Accepted()

    def test_the_callback_url_overrides_a_field_of_the_input(
        self, serve: Callable[..., Server]
    ) -> None:
        server = serve(answering(reply()))
        self.make(server).call(
            replace(CALL, input={**CALL.input, "callback_url": "http://elsewhere.test/"})
        )
        assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2]) == {
            **CALL.input,
            "callback_url": CALL.callback_url,
        }
