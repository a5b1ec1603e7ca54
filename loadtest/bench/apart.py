"""Runs a part of a benchmark in its own process, because Django can be set up only once in each."""

import multiprocessing
import signal
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a fresh process and return its result. The process ends with this one."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, partial(function, *args, **kwargs)))
    process.start()
    sender.close()
    try:
        answer: T = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__} failed; see above") from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    return answer


def _run(sender: Connection, call: Callable[[], T]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    signal.signal(signal.SIGINT, lambda *_: None)  # our parent ends us
    sender.send(call())
