"""Actions on all jobs that match a filter, carried out by the sweep.

An action is of one vendor's jobs. It goes through them in the order of their ids, and marks each
job that it moves with its own id. The mark, not what a process remembers, tells what is done: a
step that is repeated after a crash, or made by two leaders, counts a job once and moves it once.
"""

from jobs.bulk.actions import running

__all__ = ["running"]
