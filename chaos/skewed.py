"""Runs a command of chaos.manage with a wrong clock: python -m chaos.skewed SECONDS run_worker ...

libfaketime can't: with a wrong wall clock and a right monotonic one, it makes Python's sleep fail.
"""

import datetime
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime as true_datetime
else:
    true_datetime = datetime.datetime
true_time = time.time
wrong_by = datetime.timedelta(seconds=float(sys.argv[1]))


class _Kind(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, true_datetime)


class WrongDatetime(true_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return true_datetime.now(tz) + wrong_by


datetime.datetime = WrongDatetime  # type: ignore[misc]  # before any import by name
time.time = lambda: true_time() + wrong_by.total_seconds()

if __name__ == "__main__":
    from chaos.manage import main

    main(sys.argv[2:])
