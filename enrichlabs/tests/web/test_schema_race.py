"""The schema of a new process, requested by many clients at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from harness.running import get


def test_all_concurrent_requests_get_the_same_schema(serve: Callable[..., int]) -> None:
    for _ in range(2):
        port = serve(SERVES="api", REDIS_URL="redis://127.0.0.1:1")
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(get, [port] * 16, ["/schema"] * 16))
        assert {status for status, _ in answers} == {200}
        assert len({body for _, body in answers}) == 1
