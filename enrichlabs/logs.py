"""Logging of all processes: one line per event, as text or as a JSON object (LOG_FORMAT=json), and
a limited rate for lines that clients can cause.
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

from clients.keys import masked

log = logging.getLogger(__name__)

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Loggers whose lines any client that reaches the port can cause.
CAUSED_BY_CLIENTS = (
    "clients.directory",
    "django.request",
    "django.security",
    "gunicorn.error",
    "jobs.api.problems",
    "webhooks.views",
)
MAX_LINES = 10  # of a kind per interval; the rest is counted
INTERVAL_SECONDS = 1.0
MAX_HOST_LENGTH = 50
MAX_ARGUMENT_LENGTH = 200  # of what a client sent, such as a path


class TextFormatter(logging.Formatter):
    """Formats a record as a line of text, without API keys; line breaks in its message are
    escaped.
    """

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class JSONFormatter(logging.Formatter):
    """Formats a record as a JSON object on one line, without API keys."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return masked(json.dumps(line))


class ShortRefusals(logging.Filter):
    """Shortens Django's records of refused requests: no traceback, little of what the client sent,
    and INFO for a 4xx response of the API.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django."):
            self._shorten(record)
        return record.levelno >= logging.getLogger().level

    def _shorten(self, record: logging.LogRecord) -> None:
        if record.name == "django.security.DisallowedHost":
            host = record.request.META.get("HTTP_HOST", "")  # type: ignore[attr-defined]
            text = "Refused a request: its host %r is not in ALLOWED_HOSTS"
            _replace(record, text, host[:MAX_HOST_LENGTH])
        elif record.name.startswith("django.security.") and record.name != "django.security.csrf":
            # The message repeats what the client sent.
            _replace(record, "Refused a request: %s", record.name.rpartition(".")[2])
        elif getattr(record, "status_code", 500) < 500:
            record.exc_info = None
            if record.name == "django.request":
                _set_level(record, logging.INFO)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_shortened, record.args))


def _replace(record: logging.LogRecord, message: str, argument: str) -> None:
    record.msg, record.args, record.exc_info = message, (argument,), None
    _set_level(record, logging.WARNING)


def _set_level(record: logging.LogRecord, level: int) -> None:
    record.levelno, record.levelname = level, logging.getLevelName(level)


def _shortened(argument: object) -> object:
    return argument[:MAX_ARGUMENT_LENGTH] if isinstance(argument, str) else argument


@dataclass
class _Interval:
    began: float
    lines: int = 0


class RateLimited(logging.Filter):
    """Of lines that clients can cause, passes MAX_LINES of a kind per interval, and counts the
    rest.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._lock = threading.Lock()
        self._intervals: dict[tuple[str, str, int], _Interval] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(CAUSED_BY_CLIENTS):
            return True
        kind = (record.name, str(record.msg), getattr(record, "status_code", 0))
        with self._lock:
            now = monotonic()
            interval = self._intervals.get(kind)
            if interval is None or now - interval.began >= INTERVAL_SECONDS:
                interval = self._intervals[kind] = _Interval(now)
            interval.lines += 1
            if interval.lines == MAX_LINES + 1:
                seconds_left = interval.began + INTERVAL_SECONDS - now
                timer = threading.Timer(seconds_left, self._log_count, (record, interval))
                timer.daemon = True
                timer.start()
            return interval.lines <= MAX_LINES

    def _log_count(self, first: logging.LogRecord, interval: _Interval) -> None:
        text = "%d more lines of %s within a second, such as: %s"
        log.log(first.levelno, text, interval.lines - MAX_LINES, first.name, first.getMessage())


def formatter(log_format: str) -> logging.Formatter:
    return JSONFormatter() if log_format == "json" else TextFormatter()


def configure(config: dict[str, Any]) -> None:
    """Configure logging (Django's LOGGING_CONFIG). With LOG_FORMAT=json, warnings and uncaught
    exceptions are logged as JSON too.
    """
    logging.config.dictConfig(config)
    if _as_json():
        logging.captureWarnings(True)
        sys.excepthook = lambda kind, error, traceback: _log_uncaught("The process ended", error)
        threading.excepthook = lambda args: _log_uncaught("A thread ended", args.exc_value)


def _log_uncaught(what: str, error: BaseException | None) -> None:
    logging.getLogger("enrichlabs").critical("%s: %s", what, type(error).__name__, exc_info=error)


def say(text: str) -> None:
    """Write to standard error why a process ends, whether or not logging is configured yet."""
    if _as_json():
        record = logging.LogRecord("enrichlabs", logging.CRITICAL, "", 0, text, None, None)
        sys.stderr.write(JSONFormatter().format(record) + "\n")
    else:
        sys.stderr.write(f"enrichlabs: {text}\n")


def _as_json() -> bool:
    return os.environ.get("LOG_FORMAT") == "json"
