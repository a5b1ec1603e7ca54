"""The client of the API."""

from types import TracebackType
from typing import Self

from enrichlabs_client import settings
from enrichlabs_client.batch_calls import BatchCalls
from enrichlabs_client.http.transport import Transport
from enrichlabs_client.job_calls import JobCalls


class Client(JobCalls, BatchCalls):
    """Calls EnrichLabs. It may be shared by threads.

    What is not given comes from ENRICHLABS_URL and ENRICHLABS_API_KEY, else from the file
    ~/.config/enrichlabs/config.toml. `timeout` is the seconds for one call, with all of its
    retries; a call that waits or transfers many jobs has its own.

    Calls are repeated after a lost connection, 408, 429 and 5xx, as the service asks with
    Retry-After, else after a growing pause. No job is posted twice by that.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, *, timeout: float = 60
    ) -> None:
        super().__init__(Transport(settings.find(url, key)), timeout)

    def __repr__(self) -> str:
        return f"<Client of {self._transport.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return self._transport.url

    @property
    def key_prefix(self) -> str:
        """The first 12 characters of the API key, which are no secret. Empty without a key."""
        return self._transport.key_prefix

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
