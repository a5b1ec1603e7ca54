"""Writes the callbacks of the vendors without code, including forged ones."""

import hmac
import json
import time
from dataclasses import replace
from typing import Any

from chaos.callbacks import FORGED_SECONDS, REPEAT_SECONDS, Message
from chaos.calls import Call
from chaos.polls.desk import answer_of
from chaos.polls.plans import NEVER

LATE_SECONDS = 11.0
STALE_SECONDS = 900  # older than a signature may be
FORGED_RESULT = {"forged": True}


def messages(call: Call, secret: str) -> list[tuple[float, Message]]:
    """Return the messages to post for a call that did its work, each with its delay."""
    genuine, soon = _message(call, "genuine", _body(call), secret), call.plan.callback_seconds
    match call.callback:
        case callback if call.ending == NEVER or callback == "lost":
            return []
        case "late":
            return [(LATE_SECONDS, genuine)]
        case "duplicate":
            return [(soon, genuine), (soon, genuine), (soon + REPEAT_SECONDS, genuine)]
        case "replayed":
            return [(soon, replace(genuine, replays=1))]
        case "forged":
            forged = [(0.0, message) for message in _forged(call, secret, genuine)]
            return [*forged, (FORGED_SECONDS, genuine)]
    return [(soon, genuine)]


def _body(call: Call) -> dict[str, Any]:
    if call.vendor == "thin":
        return {"id": call.reference, "state": "done"}
    return answer_of(call, call.reference)


def _forged(call: Call, secret: str, genuine: Message) -> list[Message]:
    """One that proves nothing is accepted where nothing is believed, and makes us poll."""
    body = {"id": call.reference, "state": "done", "result": FORGED_RESULT}
    if call.vendor == "confirmed":
        return [_message(call, "unproven", body, "")]
    stale = int(time.time()) - STALE_SECONDS
    forged = [
        _message(call, "forged_secret", body, "the forger's own secret"),
        _message(call, "forged_unsigned", body, ""),
        _message(call, "forged_stale", body, secret, stale),
        replace(genuine, kind="forged_body", body=json.dumps(body).encode()),
    ]
    if call.vendor == "thin":  # its URL has a token
        bare = replace(genuine, kind="forged_no_token", url=genuine.url.partition("?")[0])
        forged.append(bare)
    return forged


def _message(call: Call, kind: str, value: Any, secret: str, at: int = 0) -> Message:
    body, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
    if secret and call.vendor != "confirmed":
        time_text = str(at or int(time.time()))
        signature = hmac.digest(secret.encode(), f"{time_text}.".encode() + body, "sha256").hex()
        headers["X-Signature"] = f"t={time_text},v1={signature}"
    return Message(call, kind, call.callback_url, body, headers)
