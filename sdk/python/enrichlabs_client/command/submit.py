"""enrichlabs submit: a file of rows in, a file of results out."""

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from enrichlabs_client import json_text
from enrichlabs_client.client import Client
from enrichlabs_client.command.failures import (
    COMPLETE,
    INCOMPLETE,
    Tally,
    UsageError,
    counted,
    listed,
)
from enrichlabs_client.command.files import (
    CSV,
    check_output,
    check_output_name,
    format_of,
    input_format,
    open_input,
)
from enrichlabs_client.command.mapping import mapping_of
from enrichlabs_client.command.progress import Progress
from enrichlabs_client.command.state import State
from enrichlabs_client.command.submission import Submission
from enrichlabs_client.command.tables import Table, read_table
from enrichlabs_client.errors import NotFound
from enrichlabs_client.http.answers import printable, shown

DIFFERENCES = {
    "url": "another URL",
    "vendor": "another vendor",
    "reference": "another reference",
    "map": "another mapping (--map)",
    "options": "other options (--option)",
    "encoding": "another encoding",
    "delimiter": "another delimiter",
    "format": "another format",
}
CHECK_SECONDS = 15.0
PATIENT_SECONDS = 300.0


def run(args: argparse.Namespace, client: Client, progress: Progress) -> int:
    path = Path(args.file)
    format = input_format(path, args.format)
    output = Path(args.output) if args.output else _default_output(path, format)
    _check_output(output, path)
    file = open_input(path, args.encoding)
    if file.notice:
        progress.say(file.notice)
    table = read_table(file, format, args.delimiter)
    mapping = mapping_of(table, args.map, args.option, args.vendor)
    with State.open(output) as state:
        before = None if args.again else state.submission.get("reference")
        reference = args.reference or before or printable(path.name)[:255]
        steps = Submission(client, table, mapping, state, progress, args.vendor, reference)
        _begin(steps, output, again=args.again)
        client.timeout = PATIENT_SECONDS
        refused = steps.upload()
        if not args.wait:
            state.end()
            return _report_upload(args, steps, refused)
        with _explained(steps):
            steps.wait()
            tally = steps.write(output, format_of(output) or format, args.fields)
        state.end()
    return _report_results(args, steps, output, tally)


def _default_output(path: Path, format: str) -> Path:
    ending = path.suffix if format_of(path) == format else f".{format}"
    return path.with_name(f"{path.stem}.results{ending}")


def _check_output(output: Path, path: Path) -> None:
    check_output(output)
    if output.exists() and path.exists() and output.samefile(path):
        raise UsageError(f"{output} is the input. Name another file with -o.")
    check_output_name(output)


def _begin(steps: Submission, output: Path, *, again: bool) -> None:
    """Go on with the submission that the state tells of, or begin one."""
    state, submission = steps.state, _described(steps)
    # With --again, an interrupted command must go on like any other.
    was_interrupted = state.by_again and not state.ended and state.submission == submission
    if state.parts and (was_interrupted or not again):
        _check_same(state, submission, steps.table)
        state.check_parts(steps.table.count)
        steps.client.timeout = CHECK_SECONDS
        _check_client(steps)
        steps.progress.say(f"Continuing the submission recorded in {state.path}.")
        return
    if not state.exists and output.exists() and not again:
        raise UsageError(
            f"{output} exists, and nothing says which submission it is of. Name another file "
            "with -o, or use --again to submit the rows and replace it."
        )
    steps.client.timeout = CHECK_SECONDS
    _check_vendor(steps)
    state.begin(submission, steps.client.key_prefix, again=again)


def _described(steps: Submission) -> dict[str, Any]:
    """Return what must be the same for a command to go on."""
    return {
        "url": steps.client.url,
        "sha256": steps.table.file.sha256,
        "vendor": steps.vendor,
        "reference": steps.reference,
        "map": dict(steps.mapping.columns),
        "options": {**steps.mapping.option_columns, **steps.mapping.defaults},
        "encoding": steps.table.file.encoding,
        "delimiter": steps.table.delimiter,
        "format": steps.table.format,
    }


def _check_same(state: State, submission: dict[str, Any], table: Table) -> None:
    differing = [name for name in submission if submission[name] != state.submission.get(name)]
    if "sha256" in differing:
        raise UsageError(
            f"{table.file.path} has changed since its rows were submitted. Restore it to go on, "
            "or use --again to submit all of its rows anew."
        )
    if differing:
        raise UsageError(
            f"{state.path} records a submission with {_differences(differing)}. Use the same "
            "arguments to go on, another file with -o, or --again to submit the rows anew."
        )


def _differences(names: list[str]) -> str:
    *others, last = (DIFFERENCES[name] for name in names)
    return f"{', '.join(others)} and {last}" if others else last


def _check_client(steps: Submission) -> None:
    """Refuse to go on with the submission of another client: all rows would be submitted again.

    A key may be rotated, so what counts is whether this one finds what was submitted.
    """
    state, prefix = steps.state, steps.client.key_prefix
    if state.key_prefix == prefix:
        return
    known = next((part.batch_id for part in steps.parts() if part.batch_id), None)
    try:
        if known and steps.client.batch(known):
            state.record_key(prefix)
            return
    except NotFound:
        pass
    raise UsageError(
        f"This submission belongs to another client. {state.path} records it"
        + (f" for the API key {state.key_prefix}" if state.key_prefix else " without an API key")
        + ". Use its key, another output with -o, or --again to submit the rows anew."
    )


@contextmanager
def _explained(steps: Submission) -> Iterator[None]:
    """Say what it means if the service does not have what was submitted."""
    try:
        yield
    except NotFound as error:
        error.args = (
            f"{error} {steps.state.path} records it, so it was there. It may have been deleted "
            "since. Use --again to submit the rows anew.",
        )
        raise


def _check_vendor(steps: Submission) -> None:
    slug, columns = steps.vendor, steps.table.columns
    if slug is None:
        return  # each row names its own
    vendors = {vendor.slug: vendor for vendor in steps.client.vendors()}
    vendor = vendors.get(slug)
    if vendor is None:
        known = listed(sorted(vendors) or ["none"])
        whose = "Your key may use" if steps.client.key_prefix else "Vendors"
        raise UsageError(f"There is no vendor {slug}. {whose}: {known}")
    if not vendor.enabled:
        raise UsageError(f"The vendor {slug} is disabled.")
    if steps.table.format == CSV:
        for name in vendor.required_input:
            if name not in steps.mapping.columns:
                raise UsageError(
                    f"The vendor {slug} requires the field {name}. Say which column it is: "
                    f"--map {name}=COLUMN. Columns: {listed(columns)}"
                )


def _report_upload(args: argparse.Namespace, steps: Submission, refused: int) -> int:
    ids = [part.batch_id for part in steps.parts()]
    kept = (argument for argument in args.arguments if argument != "--again")
    command = shlex.join(["enrichlabs", *kept, "--wait"])
    if args.json:
        print(json_text.dumps({"rows": steps.table.count, "refused": refused, "batches": ids}))
    else:
        for part in steps.parts():
            print(f"{shown(part.batch_id or '')}  {counted(part.rows, 'row')}")
        if refused:
            were = "was" if refused == 1 else "were"
            print(f"{counted(refused, 'row')} {were} refused; the results will say why.")
        print(f"To wait and fetch the results: {command}")
    return INCOMPLETE if refused else COMPLETE


def _report_results(args: argparse.Namespace, steps: Submission, output: Path, tally: Tally) -> int:
    ids = [part.batch_id for part in steps.parts()]
    if args.json:
        found = {"output": str(output), "rows": steps.table.count}
        found |= {"counts": tally.counts, "batches": ids}
        print(json_text.dumps(found))
    else:
        print(f"{output}: {tally}.")
        if len(ids) == 1 and tally.may_succeed:
            command = f"enrichlabs retry {shown(ids[0] or '')}"
            print(f"To retry what failed: {command}, and then the same command.", file=sys.stderr)
    return COMPLETE if tally.is_complete else INCOMPLETE
