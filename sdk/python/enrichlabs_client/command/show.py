"""The commands that show or act on jobs and batches."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from enrichlabs_client import json_text
from enrichlabs_client.client import Client
from enrichlabs_client.command.failures import COMPLETE, INCOMPLETE, Tally
from enrichlabs_client.command.files import (
    JSON_LINES,
    check_output,
    check_output_name,
    delimiter_of,
    format_of,
)
from enrichlabs_client.command.outputs import ResultColumns, SupportsWrite, Writer, whole
from enrichlabs_client.errors import ConflictError, NotFound
from enrichlabs_client.http.answers import printable, shown
from enrichlabs_client.models import Batch, Job, Raw
from enrichlabs_client.results import Result

JOB_COLUMNS = ("request_id", "status", "vendor", "reference", "created_at")
BATCH_COLUMNS = ("batch_id", "state", "reference", "created_at", "finished_at")
UNFINISHED = (
    "Batch {id} is not finished. Wait for it with `enrichlabs batch {id} --wait`, or take what "
    "there is with --partial."
)
VENDOR_COLUMNS = ("slug", "enabled", "required_input")


def jobs(args: argparse.Namespace, client: Client) -> int:
    found = client.jobs(
        status=args.status, vendor=args.vendor, reference=args.reference, limit=args.limit
    )
    return _table(args, JOB_COLUMNS, (job.raw for job in found))


def batches(args: argparse.Namespace, client: Client) -> int:
    found = client.batches(state=args.state, reference=args.reference, limit=args.limit)
    return _table(args, BATCH_COLUMNS, (batch.raw for batch in found))


def vendors(args: argparse.Namespace, client: Client) -> int:
    return _table(args, VENDOR_COLUMNS, (vendor.raw for vendor in client.vendors()))


def job(args: argparse.Namespace, client: Client) -> int:
    found = client.wait(args.id) if args.wait else client.get(args.id)
    _details(args, found.raw)
    return INCOMPLETE if args.wait and found.status != "complete" else COMPLETE


def batch(args: argparse.Namespace, client: Client) -> int:
    found = client.wait_batch(args.id) if args.wait else client.batch(args.id)
    _details(args, found.raw)
    whole = found.counts.get("complete") == found.received
    return INCOMPLETE if args.wait and not whole else COMPLETE


def cancel(args: argparse.Namespace, client: Client) -> int:
    return _act(args, client.cancel, client.cancel_batch)


def retry(args: argparse.Namespace, client: Client) -> int:
    return _act(args, client.retry, client.retry_batch)


def results(args: argparse.Namespace, client: Client) -> int:
    path = Path(args.output) if args.output else None
    if path:
        check_output(path)
    if path and not args.format:
        check_output_name(path)
    format = args.format or (format_of(path) if path else JSON_LINES)
    delimiter = (delimiter_of(path) if path else None) or ","
    tally = Tally()
    try:
        with whole(path) if path else nullcontext(_standard_output()) as file:
            own = ResultColumns(args.fields)
            columns = ["index", "reference", *own.names, "created_at", "finished_at"]
            writer = Writer(file, format or JSON_LINES, columns, delimiter)
            for result in client.results(args.id, partial=args.partial):
                tally.add(result)
                writer.write({**own.texts(result), **_more(result)})
    except ConflictError as error:
        if error.code == "not_finished":
            error.args = (UNFINISHED.format(id=args.id),)
        raise
    _report(args, tally)
    return COMPLETE if tally.is_complete else INCOMPLETE


class _Terminal:
    """Writes to a terminal without what could control it."""

    def write(self, text: str) -> int:
        return sys.stdout.write(printable(text.replace("\r\n", "\n"), kept="\n\t"))


def _standard_output() -> SupportsWrite:
    """Return where results are written. To a file or another program they go as they are."""
    return _Terminal() if sys.stdout.isatty() else sys.stdout


def _report(args: argparse.Namespace, tally: Tally) -> None:
    """Say what was written. The results themselves may be on standard output."""
    if args.json and args.output:
        counts = tally.counts
        print(json_text.dumps({"output": args.output, "rows": counts.total(), "counts": counts}))
    elif args.output:
        print(f"{args.output}: {tally}.")
    elif not args.json:
        print(f"{tally}.", file=sys.stderr)


def _more(result: Result) -> dict[str, str | None]:
    names = ("index", "reference", "created_at", "finished_at")
    return {name: json.dumps(result.raw.get(name), ensure_ascii=False) for name in names}


def _act(
    args: argparse.Namespace,
    on_job: Callable[[str], Job],
    on_batch: Callable[[str], Batch],
) -> int:
    """Act on the job or batch that has this id."""
    try:
        found: Job | Batch = on_job(args.id)
    except NotFound:
        try:
            found = on_batch(args.id)
        except NotFound as error:
            error.args = ("There is no job or batch with this id.",)
            raise
    _details(args, found.raw)
    return COMPLETE


def _table(args: argparse.Namespace, columns: Sequence[str], rows: Iterable[Raw]) -> int:
    if args.json:
        for row in rows:
            print(json_text.dumps(row))
        return COMPLETE
    cells = [list(columns)]
    cells += [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())
    return COMPLETE


def _details(args: argparse.Namespace, raw: Raw) -> None:
    if args.json:
        print(json_text.dumps(raw))
        return
    width = max(map(len, raw), default=0)
    for name, value in raw.items():
        print(f"{shown(name).ljust(width)}  {DETAILS.get(name, _cell)(value)}")


def _counts(value: Any) -> str:
    known = value.items() if isinstance(value, dict) else ()
    return ", ".join(f"{shown(name)} {_cell(number)}" for name, number in known if number) or "-"


def _held_by(value: Any) -> str:
    return _cell(value.get("message") if isinstance(value, dict) else value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_cell, value)) or "-"
    if isinstance(value, str):
        return shown(value)
    return json_text.dumps(value)


DETAILS: dict[str, Callable[[Any], str]] = {"counts": _counts, "held_by": _held_by}
