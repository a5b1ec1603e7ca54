"""What can go wrong. Every error of this package is an EnrichLabsError."""

from collections.abc import Sequence
from dataclasses import dataclass


class EnrichLabsError(Exception):
    """The base of all errors of this package. Its text is a sentence for people."""

    retry_after: float | None = None
    """The seconds that the service asked to wait."""
    is_transient = False
    """Whether the same request may succeed later."""
    changed_nothing = False
    """Whether it is certain that the call, with all of its attempts, changed nothing."""


class ConfigurationError(EnrichLabsError):
    """The URL or the API key is missing or can't be used."""


class InvalidArgument(EnrichLabsError, ValueError):
    """An argument that no request can have. Nothing was sent for it."""


class ConnectionFailed(EnrichLabsError):
    """No answer came: the request may or may not have been carried out."""

    def __init__(self, message: str, *, was_sent: bool = True, is_transient: bool = True) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.is_transient = is_transient


class UnexpectedAnswer(EnrichLabsError):
    """The answer is none that the service gives: the URL may lead to something else."""


class WaitTimedOut(EnrichLabsError):
    """The job or batch was not final within the time to wait."""


@dataclass(frozen=True)
class FieldError:
    """One of the reasons why a request is invalid."""

    code: str
    detail: str
    pointer: str | None = None
    """The field, such as /name."""
    parameter: str | None = None
    """The parameter of the query."""


class ApiError(EnrichLabsError):
    """The service refused the request."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:  # type: ignore[override]
        return self.status in (408, 429) or self.status >= 500

    def __repr__(self) -> str:
        return f"{type(self).__name__}(status={self.status}, code={self.code!r})"


class InvalidRequest(ApiError):
    """400, 413, 415, 422: the request must be changed. `errors` says how."""


class AuthenticationError(ApiError):
    """401: the API key is missing, unknown, expired or revoked."""


class PermissionDenied(ApiError):
    """403: the API key lacks a scope, or may not use the vendor."""


class NotFound(ApiError):
    """404: there is no such job or batch, or it belongs to another client."""


class ConflictError(ApiError):
    """409: the job or batch is not in a state for this, or the key was used for other jobs."""


class RateLimited(ApiError):
    """429: the vendor's queue is full, or the client's request limit is reached."""


class ServiceUnavailable(ApiError):
    """5xx and 408: the service can't answer now."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    408: ServiceUnavailable,
    409: ConflictError,
    429: RateLimited,
}


def class_for(status: int) -> type[ApiError]:
    """Return the class of errors for an HTTP status of 400 or more."""
    return _BY_STATUS.get(status, ServiceUnavailable if status >= 500 else InvalidRequest)
