"""History: what happened in each minute, hour and day (docs/decisions/0037-tallies.md).

Each process counts in its memory what its commits did, and writes that to rows of its own, about
once a second. The leader of the sweep folds the rows (`fold`); `read` reads them.
"""

from jobs.tallies.memory import memory
from jobs.tallies.writer import writer

note = memory.note
accepted = memory.accepted
count = memory.count
add_cost = memory.add_cost
committed = memory.committed
flush = writer.flush
finish = writer.finish

__all__ = ["accepted", "add_cost", "committed", "count", "finish", "flush", "note"]
