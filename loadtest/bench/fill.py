"""Fills a store and its Valkey with jobs as if they had arrived over time: copies of one row, made
by SQL.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

MONTH_MS = 30 * 86_400_000
HOUR_MS = 3_600_000
BATCH = 5000

# A UUIDv7, which begins with its time.
ID = """printf('%08x-%04x-7%03x-%04x-%012x', ms >> 16, ms & 0xffff,
    random() & 0xfff, 0x8000 | (random() & 0x3fff), random() & 0xffffffffffff)"""
TIME = "strftime('%Y-%m-%d %H:%M:%f000', ms / 1000.0, 'unixepoch')"
MOMENTS = """(
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers LIMIT :count)
    SELECT n, :since_ms + n * :span_ms / :count AS ms FROM numbers
)"""
NAME = "'Person ' || (n % 5000)"
QUEUED = {"_id": ID, "name": NAME, "created_at": TIME, "queued_at": TIME}
DONE = {
    **QUEUED,
    "started_at": TIME,
    "finished_at": TIME,
    "status": "iif(n % 33, 'complete', 'failed')",
}
# By another divisor than the vendors, so that each vendor has some of each.
IS_FAILED = "(n / 7) % 5 = 0"
CODES = "substr('vendor_error    timeout         invalid_input   callback_overdueoutcome_unknown '"
FAILED = {
    "status": f"iif({IS_FAILED}, 'failed', 'complete')",
    "error_code": f"iif({IS_FAILED}, trim({CODES}, (n / 35) % 5 * 16 + 1, 16)), '')",
    "client": "'c' || (n / 3) % 10",
    "run": "1 + (n % 50 = 0)",
}
ATTEMPT = {
    "_id": "job._id",
    "job": "job._id",
    "started_at": "job.started_at",
    "ended_at": "job.finished_at",
}

# Each entry's time is that of its job.
ADD = """for i = 1, #ARGV, 2 do
    redis.call('XADD', KEYS[1], ARGV[i] .. '-*', 'v', '1', 'job', ARGV[i + 1])
end"""


def fill_with_done(store: Path, count: int) -> None:
    """Replace all jobs by `count` copies of the complete one, spread over the last month."""
    with _filling(store) as connection:
        templates = [
            _template(connection, "jobs_job", "complete"),
            _template(connection, "jobs_attempt"),
        ]
        connection.execute(
            _insert(connection, "jobs_job", DONE, f"{MOMENTS}, {templates[0]}"),
            _span(count, MONTH_MS),
        )
        connection.execute(
            _insert(connection, "jobs_attempt", ATTEMPT, f"jobs_job AS job, {templates[1]}")
        )


def fill_with_mixed(store: Path, count: int, vendors: Sequence[str]) -> None:
    """Replace all jobs by `count` copies of the complete one, spread over the last month, these
    vendors and ten clients. A fifth has failed, for one of five reasons.
    """
    by_number = " ".join(f"WHEN {n} THEN '{slug}'" for n, slug in enumerate(vendors))
    vendor = f"CASE n % {len(vendors)} {by_number} END"
    with _filling(store) as connection:
        templates = [
            _template(connection, "jobs_job", "complete"),
            _template(connection, "jobs_attempt"),
        ]
        connection.execute(
            _insert(
                connection,
                "jobs_job",
                {**DONE, **FAILED, "vendor": vendor},
                f"{MOMENTS}, {templates[0]}",
            ),
            _span(count, MONTH_MS),
        )
        copied = {**ATTEMPT, "vendor": "job.vendor"}
        connection.execute(
            _insert(connection, "jobs_attempt", copied, f"jobs_job AS job, {templates[1]}")
        )


def fill_with_queued(store: Path, count: int) -> None:
    """Replace all jobs by `count` copies of the queued one, spread over the last hour."""
    with _filling(store) as connection:
        template = _template(connection, "jobs_job", "queued")
        connection.execute(
            _insert(connection, "jobs_job", QUEUED, f"{MOMENTS}, {template}"), _span(count, HOUR_MS)
        )


def add_entries(store: Path, client: Any, key: str) -> None:
    """Recreate the stream `key` with an entry for each job of the store."""
    client.delete(key)
    with closing(sqlite3.connect(store)) as connection:
        ids = connection.execute("SELECT _id FROM jobs_job ORDER BY _id")
        while batch := ids.fetchmany(BATCH):
            client.eval(
                ADD, 1, key, *(part for (job_id,) in batch for part in (_ms(job_id), job_id))
            )


@contextmanager
def _filling(store: Path) -> Iterator[sqlite3.Connection]:
    """Yield a fast connection without crash safety. No other connection may be open."""
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-500000"
        )
        with connection:
            yield connection
        connection.execute("PRAGMA journal_mode=WAL")


def _template(connection: sqlite3.Connection, table: str, status: str = "") -> str:
    """Move one row into a temporary table and delete the others; returns a source for `_insert`."""
    where = f"WHERE status = '{status}'" if status else ""
    connection.execute(f"CREATE TEMP TABLE one_{table} AS SELECT * FROM {table} {where} LIMIT 1")  # noqa: S608
    connection.execute(f"DELETE FROM {table}")  # noqa: S608
    return f"one_{table} AS one"


def _insert(
    connection: sqlite3.Connection, table: str, differing: Mapping[str, str], source: str
) -> str:
    """Return the SQL that copies the row `one`, except for the columns that differ."""
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    values = [differing.get(column, f"one.{column}") for column in columns]
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {source}"  # noqa: S608


def _span(count: int, span_ms: int) -> dict[str, int]:
    return {"count": count, "span_ms": span_ms, "since_ms": int(time.time() * 1000) - span_ms}


def _ms(job_id: str) -> int:
    return int(job_id[:8] + job_id[9:13], 16)
