"""Django's request and handler, with two differences: how a body is read, and in which charset."""

from contextlib import suppress
from io import BytesIO
from typing import Any
from wsgiref.types import WSGIEnvironment

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters
from gunicorn.http.errors import ParseException

from enrichlabs.http import refusals
from jobs.api.input.bodies import TooLarge


class Body:
    """The body of a request. Nothing of it is read, or judged, before it is asked for."""

    def __init__(self, environ: WSGIEnvironment, max_bytes: int) -> None:
        self._environ = environ
        self._max_bytes = max_bytes
        self._stream: Any = environ["wsgi.input"]
        self._content: BytesIO | None = None

    def load(self) -> BytesIO:
        """Read it as a whole, unless it was. Raises Problem if it is too large or malformed, and
        OSError if its last chunk is missing.
        """
        if self._content is None:
            try:
                self._content = BytesIO(self._read_all())
            except ParseException as error:
                raise refusals.problem_of(error) from None
        return self._content

    def read(self, size: int = -1) -> bytes:
        return self.load().read(size)

    def readline(self, size: int = -1) -> bytes:
        return self.load().readline(size)

    def close(self) -> None:
        """Django calls this when it has read the body."""

    def _read_all(self) -> bytes:
        body, environ = b"", self._environ
        length = int(environ.get("CONTENT_LENGTH") or 0)  # gunicorn accepts only digits
        if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            body = self._stream.read(self._max_bytes + 1)
            length = len(body)
            environ["CONTENT_LENGTH"] = str(length)  # Django reads no body without a length
        elif length <= self._max_bytes:
            with suppress(OSError):  # a body that was cut short is noticed by its length
                body = self._stream.read(length)
        if length > self._max_bytes:
            self._stream.failed = True  # gunicorn closes the connection instead of reading the rest
            raise TooLarge(self._max_bytes)
        return body


class Request(WSGIRequest):
    """A request whose query and forms are UTF-8, whatever charset its Content-Type names."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        super().__init__(environ)
        self._stream = environ["wsgi.input"]  # not cut to a length that is unknown yet

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        content_type = meta.get("CONTENT_TYPE", "")
        try:
            self.content_type, self.content_params = parse_header_parameters(content_type)
        except (LookupError, ValueError):  # a parameter in an unknown encoding
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    request_class = Request
