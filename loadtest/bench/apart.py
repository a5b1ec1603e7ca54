"""A part of a benchmark in a process of its own, because Django is set up for one place in each."""

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
    """Return what the function returns in a fresh process, which is ended with us, and cleans up."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_be_apart, args=(sender, partial(function, *args, **kwargs)))
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


def _be_apart(sender: Connection, call: Callable[[], T]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    signal.signal(signal.SIGINT, lambda *_: None)  # a Ctrl-C reaches us too, and our parent ends us
    sender.send(call())
