"""The callbacks of the campaign's vendor: a pen writes them and a postman posts them."""

import heapq
import json
import time
import uuid
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from itertools import count
from threading import Condition, Thread
from typing import Any
from urllib.parse import urlsplit

from chaos.calls import Call, token_of
from chaos.ledger import Callback, Ledger
from vendors.mock.callbacks import sign

SIGNED = "signed"

POST_TIMEOUT_SECONDS = 3.0  # below a call's timeout: an early callback is posted during a call
RETRY_SECONDS = (0.5, 1, 2, 4, 8, 15, 15, 15, 15, 15)  # 90 s in all
REPEAT_SECONDS = 0.5  # from the first to the last duplicate, or from garbage to the genuine one
FORGED_SECONDS = 1.0  # from the forged callbacks to the genuine one
REPLAYED_SECONDS = 3.0
HELD_SECONDS = 3.0
LATE_SECONDS = 20.0  # the timeout is 15


@dataclass(frozen=True)
class Message:
    """A callback to post. Repeats are identical, including the signature."""

    call: Call
    kind: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    replays: int = 0  # after it was accepted

    @property
    def is_forged(self) -> bool:
        return self.kind.startswith("forged")


class Pen:
    """Writes the callbacks of a call, including forged ones."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = signing_key

    def messages(self, call: Call) -> list[tuple[float, Message]]:
        """Return the messages to post for a call that did its work, each with its delay."""
        genuine = self._message(call, "genuine", call.callback_url, call.result)
        soon = call.plan.callback_seconds
        held_seconds = {"out_of_order": HELD_SECONDS, "late": LATE_SECONDS}
        match call.callback:
            case "lost":
                return []
            case "duplicate":
                return [(soon, genuine), (soon, genuine), (soon + REPEAT_SECONDS, genuine)]
            case "replayed":
                return [(soon, replace(genuine, replays=1))]
            case "forged":
                return [
                    *((0.0, forged) for forged in self._forged(call)),
                    (FORGED_SECONDS, genuine),
                ]
            case "garbage":
                garbage = self._message(call, "garbage", call.callback_url, [call.result])
                return [(soon, garbage), (soon + REPEAT_SECONDS, genuine)]
        return [(held_seconds.get(call.callback, soon), genuine)]

    def _forged(self, call: Call) -> list[Message]:
        """All but the last carry a valid signature if the vendor signs: only the token is wrong."""
        bare, other = call.callback_url.partition("?")[0], call.other_url
        urls = {"forged_no_token": bare, "forged_garbage_token": f"{bare}?token=1.1.garbage"}
        if other:
            urls["forged_other_token"] = f"{bare}?token={token_of(other)}"
            urls["forged_other_url"] = (
                f"{other.partition('?')[0]}?token={token_of(call.callback_url)}"
            )
        result = {**call.result, "forged": True}
        messages = [self._message(call, kind, url, result) for kind, url in urls.items()]
        if call.vendor == SIGNED and self._key:
            messages.append(
                Pen(b"the forger's own key")._message(
                    call, "forged_signature", call.callback_url, result
                )
            )
        return messages

    def _message(self, call: Call, kind: str, url: str, value: Any) -> Message:
        body, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
        if call.vendor == SIGNED and self._key:
            message_id, now = f"msg_{uuid.uuid4().hex}", int(time.time())
            signature = sign(self._key, message_id, now, body)
            headers |= {
                "webhook-id": message_id,
                "webhook-timestamp": str(now),
                "webhook-signature": signature,
            }
        return Message(call, kind, url, body, headers)


class Postman:
    """Posts each message when it is due, in its own thread, and retries until it is accepted."""

    def __init__(self, ledger: Ledger) -> None:
        self.open = 0  # messages still to be posted
        self._ledger = ledger
        self._changed = Condition()
        self._later: list[tuple[float, int, Message]] = []  # heap by due time
        self._numbers = count()  # of two due at the same time, the older goes first
        Thread(target=self._watch, name="postman", daemon=True).start()

    def post_later(self, message: Message, delay_seconds: float) -> None:
        with self._changed:
            self.open += 1
            heapq.heappush(
                self._later, (time.monotonic() + delay_seconds, next(self._numbers), message)
            )
            self._changed.notify()

    def post(self, message: Message) -> None:
        """Post it now. Schedule a retry if it was not accepted, or a replay if it was."""
        status = _status(message)
        call = message.call
        self._ledger.write(
            Callback(time.time(), call.vendor, call.key, call.number, message.kind, status)
        )
        is_accepted = isinstance(status, int) and (200 <= status <= 299 or 400 <= status <= 499)
        if is_accepted and message.replays:
            self.post_later(replace(message, replays=message.replays - 1), REPLAYED_SECONDS)
        elif not is_accepted and not message.is_forged and message.failures < len(RETRY_SECONDS):
            self.post_later(
                replace(message, failures=message.failures + 1),
                RETRY_SECONDS[message.failures],
            )

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._later or self._later[0][0] > time.monotonic():
                    self._changed.wait(
                        self._later[0][0] - time.monotonic() if self._later else None
                    )
                message = heapq.heappop(self._later)[2]
            Thread(
                target=self._post_scheduled, args=(message,), name="callback", daemon=True
            ).start()

    def _post_scheduled(self, message: Message) -> None:
        self.post(message)
        with self._changed:
            self.open -= 1


def _status(message: Message) -> int | str:
    """Post a message; return the status of the response or the name of the exception."""
    try:
        parts = urlsplit(message.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=POST_TIMEOUT_SECONDS)
    except (HTTPException, ValueError) as error:
        return type(error).__name__
    try:
        connection.request("POST", f"{parts.path}?{parts.query}", message.body, message.headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException, ValueError) as error:
        return type(error).__name__
    finally:
        connection.close()
