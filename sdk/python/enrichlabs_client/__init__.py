"""Python client of EnrichLabs.

from enrichlabs_client import Client

with Client("https://enrichlabs.example.com", key) as client:
    job = client.submit(vendor="acme", name="John Doe", wait=30)
"""

from enrichlabs_client.client import Client
from enrichlabs_client.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    ConnectionFailed,
    EnrichLabsError,
    FieldError,
    InvalidArgument,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    UnexpectedAnswer,
    WaitTimedOut,
)
from enrichlabs_client.models import Batch, Failure, HeldBy, Job, Refusal, Upload, Vendor
from enrichlabs_client.results import Result
from enrichlabs_client.version import VERSION

__version__ = VERSION

__all__ = [
    "ApiError",
    "AuthenticationError",
    "Batch",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailed",
    "EnrichLabsError",
    "Failure",
    "FieldError",
    "HeldBy",
    "InvalidArgument",
    "InvalidRequest",
    "Job",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "Refusal",
    "Result",
    "ServiceUnavailable",
    "UnexpectedAnswer",
    "Upload",
    "Vendor",
    "WaitTimedOut",
    "__version__",
]
