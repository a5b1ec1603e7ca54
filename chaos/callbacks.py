"""The callbacks of the campaign's vendor: a pen writes them, and a postman posts them."""

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

POST_SECONDS = 3.0  # less than a call may take, for an early callback is posted within one
AGAIN_AFTER_SECONDS = (0.5, 1, 2, 4, 8, 15, 15, 15, 15, 15)  # 90 s together
SECOND_SECONDS = (
    0.5  # between the first and the last of duplicates, or garbage and the genuine callback
)
FORGED_SECONDS = 1.0  # between the forged callbacks and the genuine one
REPLAYED_SECONDS = 3.0
HELD_SECONDS = 3.0
LATE_SECONDS = 20.0  # the campaign waits for 15


@dataclass(frozen=True)
class Message:
    """A callback to be posted. Repeated, it is the same to the letter, signature and all."""

    call: Call
    kind: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    replays: int = 0  # after it was taken

    @property
    def is_forged(self) -> bool:
        return self.kind.startswith("forged")


class Pen:
    """Writes the callbacks of a call, those that are not the vendor's included."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = signing_key

    def messages(self, call: Call) -> list[tuple[float, Message]]:
        """Return what is to be posted for a call that did the work, each with the seconds until
        then.
        """
        genuine = self._message(call, "genuine", call.callback_url, call.result)
        soon = call.plan.callback_seconds
        held_seconds = {"out_of_order": HELD_SECONDS, "late": LATE_SECONDS}
        match call.callback:
            case "lost":
                return []
            case "duplicate":
                return [(soon, genuine), (soon, genuine), (soon + SECOND_SECONDS, genuine)]
            case "replayed":
                return [(soon, replace(genuine, replays=1))]
            case "forged":
                return [
                    *((0.0, forged) for forged in self._forged(call)),
                    (FORGED_SECONDS, genuine),
                ]
            case "garbage":
                garbage = self._message(call, "garbage", call.callback_url, [call.result])
                return [(soon, garbage), (soon + SECOND_SECONDS, genuine)]
        return [(held_seconds.get(call.callback, soon), genuine)]

    def _forged(self, call: Call) -> list[Message]:
        """All but the last are signed rightly where signatures are asked for: the token alone is to
        give them away.
        """
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
                Pen(b"a forger's own")._message(call, "forged_signature", call.callback_url, result)
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
    """Waits for what is due, and posts each in a thread of its own; again and again where nobody
    takes it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.open = 0  # messages that are still to be posted
        self._ledger = ledger
        self._changed = Condition()
        self._later: list[tuple[float, int, Message]] = []  # a heap by the time when each is due
        self._numbers = count()  # where two are due at once, the older goes first
        Thread(target=self._watch, name="postman", daemon=True).start()

    def post_later(self, message: Message, delay_seconds: float) -> None:
        with self._changed:
            self.open += 1
            heapq.heappush(
                self._later, (time.monotonic() + delay_seconds, next(self._numbers), message)
            )
            self._changed.notify()

    def post(self, message: Message) -> None:
        """Post it now, and later again where nobody took it or it is to be replayed."""
        status = _status(message)
        call = message.call
        self._ledger.write(
            Callback(time.time(), call.vendor, call.key, call.number, message.kind, status)
        )
        is_taken = isinstance(status, int) and (200 <= status <= 299 or 400 <= status <= 499)
        if is_taken and message.replays:
            self.post_later(replace(message, replays=message.replays - 1), REPLAYED_SECONDS)
        elif not is_taken and not message.is_forged and message.failures < len(AGAIN_AFTER_SECONDS):
            self.post_later(
                replace(message, failures=message.failures + 1),
                AGAIN_AFTER_SECONDS[message.failures],
            )

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._later or self._later[0][0] > time.monotonic():
                    self._changed.wait(
                        self._later[0][0] - time.monotonic() if self._later else None
                    )
                message = heapq.heappop(self._later)[2]
            Thread(target=self._deliver, args=(message,), name="callback", daemon=True).start()

    def _deliver(self, message: Message) -> None:
        self.post(message)
        with self._changed:
            self.open -= 1


def _status(message: Message) -> int | str:
    """Post a message, and return the status of the answer or the name of what went wrong."""
    try:
        parts = urlsplit(message.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=POST_SECONDS)
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
