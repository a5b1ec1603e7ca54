"""What all calls share: getting, acting, pages of lists, and waiting."""

from collections.abc import Callable, Iterator, Mapping
from time import monotonic, sleep
from urllib.parse import parse_qsl, urlsplit

from enrichlabs_client.errors import InvalidArgument, UnexpectedAnswer
from enrichlabs_client.http.answers import retry_after
from enrichlabs_client.http.transport import Answer, Request, Transport
from enrichlabs_client.models import Raw

MAX_WAIT_SECONDS = 30  # the most that the service grants
ATTEMPT_SECONDS = 30.0
PAGE = 100


class Calls:
    def __init__(self, transport: Transport, timeout: float) -> None:
        self.timeout = timeout
        self._transport = transport

    def _get(
        self,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        wait: int = 0,
        timeout: float | None = None,
    ) -> Answer:
        request = Request(
            "GET",
            path,
            query=query or {},
            headers=prefer(wait),
            attempt_seconds=ATTEMPT_SECONDS + wait,
        )
        return self._transport.call(request, timeout=timeout or self.timeout + wait)

    def _act(self, path: str) -> Raw:
        """Cancel or retry. It is not repeated if it may have been done: it would be refused."""
        request = Request("POST", path, repeatable=False)
        return as_object(self._transport.call(request, timeout=self.timeout))

    def _poll(self, path: str, timeout: float | None, is_final: Callable[[Raw], bool]) -> Raw:
        """Return what is there when it is final, or else after `timeout` seconds."""
        ends_at = monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            asked_at = monotonic()
            wait = int(min(MAX_WAIT_SECONDS, max(0, ends_at - asked_at)))
            answer = self._get(path, wait=wait)
            shown, now = as_object(answer), monotonic()
            if is_final(shown) or now >= ends_at:
                return shown
            if not wait or now - asked_at < wait - 0.5:  # the service had no room for waiting
                sleep(min(ends_at - now, retry_after(answer.headers) or 1))

    def _pages(self, path: str, query: Mapping[str, object], limit: int | None) -> Iterator[Raw]:
        left = float("inf") if limit is None else limit
        query = {**query, "limit": int(min(PAGE, left))}
        while left > 0:
            page = self._get(path, query)
            for item in self._items(page):
                yield item
                left -= 1
                if left <= 0:
                    return
            following = as_object(page).get("next")
            if not isinstance(following, str):
                return
            query = dict(parse_qsl(urlsplit(following).query))  # never another host

    def _items(self, answer: Answer) -> list[Raw]:
        items = as_object(answer).get("items")
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise UnexpectedAnswer("The service's answer has no list of items.")
        return items


def as_object(answer: Answer) -> Raw:
    if not isinstance(answer.json, dict):
        raise UnexpectedAnswer("The service's answer is not a JSON object.")
    return answer.json


def prefer(wait: int) -> dict[str, str]:
    return {"Prefer": f"wait={wait}"} if wait > 0 else {}


def idempotency(key: str) -> dict[str, str]:
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= 255):
        raise InvalidArgument("An idempotency key has 1 to 255 printable ASCII characters.")
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return {"Idempotency-Key": f'"{escaped}"'}
