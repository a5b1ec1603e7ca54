"""HTTP requests of the campaign's clients."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from harness import streaming

TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    word: str  # the status, or the name of an exception
    body: dict[str, Any] = field(default_factory=dict)
    is_replay: bool = False
    preference_applied: str = ""  # the header
    text: str = ""  # the body, unless it is JSON


def is_certain(word: str) -> bool:
    """Whether the service has decided: the same request would be answered alike."""
    return word.isdecimal() and not word.startswith("5") and word != "429"


class Session:
    """One client's connections. Faults become answers."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        timeout = (CONNECT_TIMEOUT_SECONDS, TIMEOUT_SECONDS)
        return self._ask("GET", url, headers=headers, timeout=timeout)

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: dict[str, Any] | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        timeout = (CONNECT_TIMEOUT_SECONDS, timeout_seconds)
        return self._ask("POST", url, headers=headers, json=body, timeout=timeout)

    def wait(
        self, method: str, url: str, headers: Mapping[str, str], seconds: int, body: Any = None
    ) -> Answer:
        """Ask for something that may take until `seconds` have passed."""
        headers = {**headers, "Prefer": f"wait={seconds}"}
        timeout = (CONNECT_TIMEOUT_SECONDS, seconds + TIMEOUT_SECONDS)
        return self._ask(method, url, headers=headers, json=body, timeout=timeout)

    def read(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Return the text at a URL. One that was cut off is no answer."""
        timeout = (CONNECT_TIMEOUT_SECONDS, TIMEOUT_SECONDS)
        try:
            response = self._session.get(url, headers=headers, timeout=timeout)
            response.encoding = "utf-8"
            return Answer(str(response.status_code), text=response.text)
        except requests.RequestException as error:
            return Answer(type(error).__name__)

    def _ask(self, method: str, url: str, **options: Any) -> Answer:
        try:
            response = self._session.request(method, url, **options)
            return _answer(response.status_code, response.headers, response.json())
        except (requests.RequestException, ValueError) as error:
            return Answer(type(error).__name__)


def upload(
    url: str, headers: Mapping[str, str], pieces: Iterable[bytes], length: int | None
) -> Answer:
    """POST the pieces over a connection of their own, chunked unless `length` is given. Raises
    streaming.Cut if a piece does.
    """
    try:
        found = streaming.post_pieces(
            url, headers, pieces, length=length, timeout_seconds=TIMEOUT_SECONDS
        )
        return _answer(found.status, found.headers, json.loads(found.body))
    except (*streaming.NO_ANSWER, ValueError) as error:
        return Answer(type(error).__name__)


def _answer(status: int, headers: Mapping[str, str], body: dict[str, Any]) -> Answer:
    is_replay = headers.get("Idempotency-Replayed") == "true"
    return Answer(str(status), body, is_replay, headers.get("Preference-Applied", ""))
