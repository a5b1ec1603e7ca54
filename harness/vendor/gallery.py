"""A server that speaks as a real vendor does, from the answers in `vendors/gallery/answers`.

It knows the vendor's paths and methods, refuses a wrong key with the vendor's own error, counts
credits, keeps a strict window of its own, and answers an accepted call when it is polled often
enough.
"""

import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from harness.vendor.recordings import KEY, Exchange, Recording, body_of, recordings, segments
from harness.vendor.scripted import Answer, Arrival, VendorServer
from harness.vendor.strict import Judge

NO_SUCH_PATH = Answer(404, {"error": "There is no such path."})
NOT_OF_A_KEY = {"accept", "content-type", "user-agent"}


@dataclass(frozen=True)
class SignedCallback:
    """What the vendor posts when it is done."""

    url: str
    body: bytes
    headers: Mapping[str, str]


class GalleryVendor(VendorServer):
    """Plays `vendor` of the definition `name`.

    `polls`: how many polls it answers with "not yet". `credits`: None if calls cost nothing.
    `judge`: whether a call that arrives now is not too fast.
    """

    def __init__(
        self,
        name: str,
        vendor: str = "",
        *,
        polls: int = 1,
        credits: int | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.credits = credits
        self.charged = 0
        self._polls = polls
        self.judge = judge
        self._recorded = {
            each.name: each for each in recordings(name) if each.vendor == (vendor or name)
        }
        self._work = _work(self._recorded)
        self._token = self._recorded["token"].call if "token" in self._recorded else None
        self._asked: dict[str, int] = {}  # how often, by reference or, without one, by request
        self._submitted: list[tuple[str, Any]] = []
        self._lock = Lock()
        super().__init__(self._respond)

    @property
    def input(self) -> dict[str, Any]:
        """An input that the vendor finds something for."""
        return dict(self._work.input)

    @property
    def result(self) -> Any:
        return self._work.exchanges[-1].expect["result"]

    def callbacks(self) -> list[SignedCallback]:
        """Return the callback of each call that was accepted, in their order."""
        callback = self._recorded["callback_good"].callback or {}
        body: bytes = callback["text"].encode()
        signature = hmac.new(KEY.encode(), body, "sha1").hexdigest()
        headers = {**callback["headers"], "X-Signature-SHA1": signature}
        return [SignedCallback(sent["webhook_url"], body, headers) for _, sent in self._submitted]

    def _respond(self, arrival: Arrival) -> Answer:
        with self._lock:
            if self._token and arrival.path == self._token.request["path"]:
                is_known = body_of(arrival) == self._token.request["body"]
                return (self._token if is_known else self._recorded["wrong_key"].call).answer
            if _fits(self._work.call, arrival, self._work.input.values()):
                return self._guarded(arrival, self._answer_call)
            if self._reference(arrival):
                return self._guarded(arrival, self._answer_poll)
            check = self._recorded.get("check")
            if check and _fits(check.call, arrival, ()):
                return self._guarded(arrival, lambda _: check.call.answer)
            return NO_SUCH_PATH

    def _guarded(self, arrival: Arrival, answer: Callable[[Arrival], Answer]) -> Answer:
        """Refuse a wrong key, and what comes too fast."""
        if "wrong_key" in self._recorded and not self._knows_key(arrival):
            return self._recorded["wrong_key"].call.answer
        if self.judge and not self.judge(time.monotonic()):
            return self._recorded["too_fast"].call.answer
        return answer(arrival)

    def _knows_key(self, arrival: Arrival) -> bool:
        request = self._work.call.request
        headers = {
            name: value
            for name, value in request.get("headers", {}).items()
            if name not in NOT_OF_A_KEY
        }
        query = {name: value for name, value in request.get("query", {}).items() if value == KEY}
        came = dict(parse_qsl(urlsplit(arrival.path).query))
        return all(arrival.headers.get(name) == value for name, value in headers.items()) and all(
            came.get(name) == value for name, value in query.items()
        )

    def _answer_call(self, arrival: Arrival) -> Answer:
        if self._is_repeated and arrival.path in self._asked:
            return self._progress(arrival.path)
        if self.credits is not None and self.charged >= self.credits:
            return self._recorded["out_of_credits"].call.answer
        self.charged += 1
        if len(self._work.exchanges) == 1:
            return self._work.call.answer
        self._submitted.append((arrival.path, body_of(arrival)))
        if self._is_repeated:
            self._asked[arrival.path] = 0
            return self._work.call.answer
        reference = f"{self._recorded_reference}-{len(self._submitted)}"
        self._asked[reference] = 0
        return self._renamed(self._work.call, reference)

    def _answer_poll(self, arrival: Arrival) -> Answer:
        reference = self._reference(arrival)
        return self._progress(reference)

    def _progress(self, key: str) -> Answer:
        """Answer "not yet" until it was asked often enough."""
        self._asked[key] += 1
        is_done = self._asked[key] > self._polls
        exchange = self._work.exchanges[-1 if is_done else 1]
        return exchange.answer if self._is_repeated else self._renamed(exchange, key)

    @property
    def _is_repeated(self) -> bool:
        """Whether a poll is the same request as the call."""
        steps = self._work.exchanges
        return len(steps) > 1 and steps[1].request["path"] == steps[0].request["path"]

    @property
    def _recorded_reference(self) -> str:
        return _parts_of(self._work.exchanges[1].request)[-1]

    def _reference(self, arrival: Arrival) -> str:
        """Return the reference in the path or query of a poll; '' if it is not one."""
        if len(self._work.exchanges) == 1 or self._is_repeated:
            return ""
        parts = urlsplit(arrival.path)
        came = _parts_of({"path": parts.path, "query": dict(parse_qsl(parts.query))})
        wanted = self._work.exchanges[1].request
        is_poll = arrival.method == wanted["method"] and came[:-1] == _parts_of(wanted)[:-1]
        return came[-1] if is_poll and came[-1] in self._asked else ""

    def _renamed(self, exchange: Exchange, reference: str) -> Answer:
        """Return the answer with another reference, in place of the recorded one."""
        text = json.dumps(exchange.body).replace(self._recorded_reference, reference)
        return replace(exchange.answer, body=json.loads(text))


def _work(recorded: Mapping[str, Recording]) -> Recording:
    """Return the recording of a call that ends well, after "not yet" if there is one."""
    return recorded["pending"] if "pending" in recorded else recorded["found"]


def _parts_of(request: Mapping[str, Any]) -> list[str]:
    """Return the segments of a path and the values of a query, the last of which is a reference."""
    return [*segments(request["path"]), *request.get("query", {}).values()]


def _fits(exchange: Exchange, arrival: Arrival, inputs: Any) -> bool:
    """Return whether the arrival has the method, the path and the parameters of the exchange,
    whatever the values that come from the input.
    """
    request, parts = exchange.request, urlsplit(arrival.path)
    values = {str(value) for value in inputs}
    wanted, came = segments(request["path"]), segments(parts.path or "/")
    return (
        arrival.method == request["method"]
        and len(wanted) == len(came)
        and all(want in values or want == have for want, have in zip(wanted, came, strict=True))
        and request.get("query", {}).keys() == dict(parse_qsl(parts.query)).keys()
        and (request.get("body") or {}).keys() == (body_of(arrival) or {}).keys()
    )
