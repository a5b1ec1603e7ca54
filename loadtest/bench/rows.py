"""Reads the newest jobs from a SQLite store with plain SQL."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import uuid_utils

NAME = "enrichlabs.sqlite3"


class Times(NamedTuple):
    """When a job was created and when it became final (Unix seconds; infinite while it is open)."""

    created: float
    finished: float


def mark() -> str:
    """Return an id after those of all existing jobs and before those of all later ones."""
    return str(uuid_utils.uuid7())


def times_since(store: Path, mark: str) -> list[Times]:
    """Return the times of the jobs created after the mark, in order of creation."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT created_at, finished_at FROM jobs_job WHERE _id > ? ORDER BY _id", [mark]
        )
        return [
            Times(_seconds(created), _seconds(finished) if finished else float("inf"))
            for created, finished in rows
        ]


def delete_since(store: Path, mark: str) -> None:
    """Delete the jobs created after the mark, and the attempts that ended after it."""
    with closing(sqlite3.connect(store)) as connection, connection:
        for table in ("jobs_job", "jobs_attempt"):
            connection.execute(f"DELETE FROM {table} WHERE _id > ?", [mark])  # noqa: S608


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(f"{moment}+00:00").timestamp()


def percentile(values: list[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed."""
    return sorted(values)[min(int(len(values) * percent / 100), len(values) - 1)]
