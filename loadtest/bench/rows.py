"""What the rows of a SQLite store say of the newest jobs, read past Django."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import uuid_utils

NAME = "enrichlabs.sqlite3"


class Times(NamedTuple):
    """When one job was made and when it was final, in seconds since 1970; `finished` is infinite
    for a job that is open.
    """

    created: float
    finished: float


def mark() -> str:
    """Return an id that lies after every job there is, and before all to come."""
    return str(uuid_utils.uuid7())


def times_since(store: Path, mark: str) -> list[Times]:
    """Return the times of the jobs that were made after the mark, in the order of their making."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT created_at, finished_at FROM jobs_job WHERE _id > ? ORDER BY _id", [mark]
        )
        return [
            Times(_seconds(created), _seconds(finished) if finished else float("inf"))
            for created, finished in rows
        ]


def forget_since(store: Path, mark: str) -> None:
    """Delete the jobs that were made after the mark, and the tries that ended after it."""
    with closing(sqlite3.connect(store)) as connection, connection:
        for table in ("jobs_job", "jobs_attempt"):
            connection.execute(f"DELETE FROM {table} WHERE _id > ?", [mark])  # noqa: S608


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(f"{moment}+00:00").timestamp()


def percentile(values: list[float], percent: float) -> float:
    """Return the value that so many percent of the values lie at or below."""
    return sorted(values)[min(int(len(values) * percent / 100), len(values) - 1)]
