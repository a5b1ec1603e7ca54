"""HTTP requests of the campaign's clients."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    word: str  # the status, or the name of an exception
    body: dict[str, Any] = field(default_factory=dict)
    is_replay: bool = False


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

    def _ask(self, method: str, url: str, **options: Any) -> Answer:
        try:
            response = self._session.request(method, url, **options)
            is_replay = response.headers.get("Idempotency-Replayed") == "true"
            return Answer(str(response.status_code), response.json(), is_replay)
        except (requests.RequestException, ValueError) as error:
            return Answer(type(error).__name__)
