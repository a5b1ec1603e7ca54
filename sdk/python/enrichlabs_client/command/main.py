"""Reads the arguments, runs the command, and turns errors into a sentence and an exit status."""

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence

from enrichlabs_client.client import Client
from enrichlabs_client.command import show, submit
from enrichlabs_client.command.arguments import parser
from enrichlabs_client.command.failures import COMPLETE, INTERRUPTED, SERVICE, USAGE, UsageError
from enrichlabs_client.command.progress import Progress
from enrichlabs_client.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    EnrichLabsError,
    InvalidArgument,
    InvalidRequest,
)
from enrichlabs_client.http.answers import printable

SIMPLE_SECONDS = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    args = parser().parse_args(arguments)
    args.arguments = arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what this terminal can't show
    progress = Progress(quiet=getattr(args, "quiet", False))
    _show_retries(progress)
    try:
        return _run(args, progress)
    except BrokenPipeError:
        # The reader, such as head, has seen enough. Python would complain when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return COMPLETE
    except (KeyboardInterrupt, UsageError, EnrichLabsError, OSError) as error:
        progress.end()
        sentence, status = _explained(error)
        if args.command == "submit" and _can_go_on(error):
            sentence += " Run the same command again to go on; no row is submitted twice."
        print(f"enrichlabs: {printable(sentence)}", file=sys.stderr)
        return status


def _run(args: argparse.Namespace, progress: Progress) -> int:
    with Client(args.url, timeout=SIMPLE_SECONDS) as client:
        if args.command == "submit":
            return submit.run(args, client, progress)
        status: int = getattr(show, args.command)(args, client)
        sys.stdout.flush()
        return status


def _explained(error: BaseException) -> tuple[str, int]:
    match error:
        case KeyboardInterrupt():
            return "Interrupted.", INTERRUPTED
        case UsageError() | ConfigurationError() | InvalidArgument():
            return str(error), USAGE
        case EnrichLabsError():
            return _sentence(error), USAGE if isinstance(error, InvalidRequest) else SERVICE
        case OSError(filename=str(name)):
            return f"{name}: {error.strerror}.", SERVICE
    return f"{getattr(error, 'strerror', None) or error}.", SERVICE


def _can_go_on(error: BaseException) -> bool:
    """Whether the same command may succeed later, or when there is room on the disk."""
    if isinstance(error, EnrichLabsError):
        return error.is_transient
    return not isinstance(error, UsageError)


def _sentence(error: EnrichLabsError) -> str:
    if isinstance(error, AuthenticationError):
        return f"{error} Set ENRICHLABS_API_KEY, or key in the configuration file."
    if isinstance(error, ApiError) and error.errors:
        places = [each.pointer or each.parameter or "" for each in error.errors]
        details = [
            f"{place}: {each.detail}" if place else each.detail
            for place, each in zip(places, error.errors, strict=True)
        ]
        is_all = [each.detail for each in error.errors] == [error.detail]
        return " ".join(details if is_all else [error.detail, *details])
    return str(error)


def _show_retries(progress: Progress) -> None:
    """Say when a request is repeated, so that nobody looks at a command that stands still."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            progress.say(f"enrichlabs: {record.getMessage()}")

    log = logging.getLogger("enrichlabs_client")
    log.handlers = [Handler()]
    log.setLevel(logging.INFO)
    log.propagate = False


if __name__ == "__main__":
    sys.exit(main())
