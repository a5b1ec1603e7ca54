"""gunicorn's own lines, in the form of all others (see enrichlabs/logs.py)."""

import logging
import os
from typing import Any

from gunicorn.glogging import Logger

from enrichlabs.logs import Capped, formatter


class GunicornLogger(Logger):
    def _set_handler(
        self, log: logging.Logger, output: Any, fmt: logging.Formatter, stream: Any = None
    ) -> None:
        super()._set_handler(log, output, formatter(os.environ.get("LOG_FORMAT", "text")), stream)
        for handler in log.handlers:
            if log is self.error_log:
                handler.addFilter(Capped())

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say nothing: these lines quote the bytes of requests."""
