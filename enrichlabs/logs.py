"""How all processes log: one line for an event, as text or (LOG_FORMAT=json) as a JSON object, and
few lines of many.
"""

import json
import logging
import logging.config
import os
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

log = logging.getLogger(__name__)

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Whose lines anybody can cause who reaches the port.
OPEN_TO_ALL = (
    "django.request",
    "django.security",
    "gunicorn.error",
    "jobs.api.problems",
    "webhooks.views",
)
MAX_LINES = 10  # of a kind in each SPAN_SECONDS; what goes beyond is counted
SPAN_SECONDS = 1.0
MAX_HOST = 50
MAX_ARGUMENT = 200  # letters of what a client sent, such as a path


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Shortened(logging.Filter):
    """Keeps requests that are refused from filling the log: a short line without a traceback, at
    INFO for the API's 4xx.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", 500)
        if record.name == "django.security.DisallowedHost":
            host = record.request.META.get("HTTP_HOST", "")  # type: ignore[attr-defined]
            _replace(
                record,
                "Refused a request: its host %r is not one of ALLOWED_HOSTS",
                host[:MAX_HOST],
            )
        elif record.name.startswith("django.security.") and record.name != "django.security.csrf":
            # The message repeats what the client sent.
            _replace(record, "Refused a request: %s", record.name.rpartition(".")[2])
        elif record.name.startswith("django.") and status < 500:
            record.exc_info = None
            if record.name == "django.request":
                _set_level(record, logging.INFO)
        if record.name.startswith("django.") and isinstance(record.args, tuple):
            record.args = tuple(
                each[:MAX_ARGUMENT] if isinstance(each, str) else each for each in record.args
            )
        return record.levelno >= logging.getLogger().level


def _replace(record: logging.LogRecord, message: str, argument: str) -> None:
    record.msg, record.args, record.exc_info = message, (argument,), None
    _set_level(record, logging.WARNING)


def _set_level(record: logging.LogRecord, level: int) -> None:
    record.levelno, record.levelname = level, logging.getLevelName(level)


@dataclass
class _Span:
    began: float
    lines: int = 0


class Capped(logging.Filter):
    """Lets through MAX_LINES of a kind in each second of those lines that anybody can cause, and
    counts the rest.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._lock = threading.Lock()
        self._spans: dict[tuple[str, str, int], _Span] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(OPEN_TO_ALL):
            return True
        kind = (record.name, str(record.msg), getattr(record, "status_code", 0))
        with self._lock:
            now = monotonic()
            span = self._spans.get(kind)
            if span is None or now - span.began >= SPAN_SECONDS:
                span = self._spans[kind] = _Span(now)
            span.lines += 1
            if span.lines == MAX_LINES + 1:
                timer = threading.Timer(
                    span.began + SPAN_SECONDS - now, self._say_how_many, (record, span)
                )
                timer.daemon = True
                timer.start()
            return span.lines <= MAX_LINES

    def _say_how_many(self, first: logging.LogRecord, span: _Span) -> None:
        more = span.lines - MAX_LINES
        log.log(
            first.levelno,
            "%d more lines of %s within a second, such as: %s",
            more,
            first.name,
            first.getMessage(),
        )


def formatter(log_format: str) -> logging.Formatter:
    return JSONFormatter() if log_format == "json" else TextFormatter()


def configure(config: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG: with LOG_FORMAT=json, what is not logged but written becomes a JSON
    object, too.
    """
    logging.config.dictConfig(config)
    if _as_json():
        logging.captureWarnings(True)
        sys.excepthook = lambda kind, error, traceback: _log_uncaught("The process ended", error)
        threading.excepthook = lambda args: _log_uncaught("A thread ended", args.exc_value)


def _log_uncaught(what: str, error: BaseException | None) -> None:
    logging.getLogger("enrichlabs").critical("%s: %s", what, type(error).__name__, exc_info=error)


def say(text: str) -> None:
    """Write to standard error why a process ends, whether logging is set up yet or not."""
    if _as_json():
        record = logging.LogRecord("enrichlabs", logging.CRITICAL, "", 0, text, None, None)
        sys.stderr.write(JSONFormatter().format(record) + "\n")
    else:
        sys.stderr.write(f"enrichlabs: {text}\n")


def _as_json() -> bool:
    return os.environ.get("LOG_FORMAT") == "json"
