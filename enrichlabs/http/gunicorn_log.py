"""gunicorn's own log lines, formatted like all others (enrichlabs/logs.py)."""

import logging
import os
from typing import Any

from gunicorn.glogging import Logger

from enrichlabs.logs import RateLimited, formatter


class GunicornLogger(Logger):
    def _set_handler(
        self, log: logging.Logger, output: Any, fmt: logging.Formatter, stream: Any = None
    ) -> None:
        super()._set_handler(log, output, formatter(os.environ.get("LOG_FORMAT", "text")), stream)
        if log is self.error_log:
            for handler in log.handlers:
                handler.addFilter(RateLimited())

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Log nothing: these lines quote the bytes of requests."""
