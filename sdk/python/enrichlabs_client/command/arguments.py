"""The arguments of the command, and its help."""

import argparse

from enrichlabs_client.command.files import CSV, JSON_LINES
from enrichlabs_client.version import VERSION

ABOUT = """\
Submit files of rows to EnrichLabs, and get files of results.

The service and the API key come from ENRICHLABS_URL and ENRICHLABS_API_KEY, or from
~/.config/enrichlabs/config.toml (lines: url = "https://...", key = "elk_..."), which
only you may be able to read (chmod 600).
"""
STATUSES = """\
exit status:
  0    everything is complete
  1    some rows failed or were refused; the output is written
  2    the arguments or the input must be changed
  3    the service refused, failed or can't be reached
  130  interrupted with Ctrl-C; `submit` goes on when it is run again
"""
SUBMIT = """\
Submit the rows of FILE, and with --wait write their results beside them.

  enrichlabs submit people.csv --vendor acme --map name="Full Name" --wait -o results.csv

The output has the columns of the input, then status, outcome, error_code, error_message,
result and request_id, in the order of the input. Cells that a spreadsheet would take for
a formula get an apostrophe in front. The name of the output decides its format: .csv,
.txt or .tsv (with tabs), .jsonl or .ndjson (JSON lines).

Interrupted by whatever, run the same command again: it goes on, and submits no row
twice. What was submitted is in OUTPUT.enrichlabs-state. A changed FILE, or the API key of
another client, is refused; --again submits all of its rows anew.
"""
RAW = argparse.RawDescriptionHelpFormatter


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser("enrichlabs", None, ABOUT, STATUSES, formatter_class=RAW)
    main.add_argument("--version", action="version", version=f"enrichlabs {VERSION}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", help="the service, instead of ENRICHLABS_URL")
    common.add_argument("--json", action="store_true", help="print JSON, for scripts")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, about: str, description: str | None = None) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=about,
            description=description or about[0].upper() + about[1:] + ".",
            epilog=STATUSES,
            parents=[common],
            formatter_class=RAW,
            allow_abbrev=False,
        )

    _add_submit(add("submit", "submit a file of rows", SUBMIT))
    jobs = add("jobs", "list jobs, newest first")
    jobs.add_argument(
        "--status", choices=["queued", "processing", "complete", "failed", "cancelled"]
    )
    jobs.add_argument("--vendor", metavar="SLUG")
    _add_list(jobs)
    job = add("job", "show a job with its result")
    job.add_argument("--wait", action="store_true", help="wait until it is final")
    batches = add("batches", "list batches, newest first")
    batches.add_argument("--state", choices=["receiving", "running", "finished"])
    _add_list(batches)
    batch = add("batch", "show a batch with its counts")
    batch.add_argument("--wait", action="store_true", help="wait until it is finished")
    results = add("results", "write the results of a batch")
    _add_results(results)
    cancel = add("cancel", "cancel a job, or all open jobs of a batch")
    retry = add("retry", "retry a failed job, or all failed jobs of a batch")
    for each in (job, batch, results, cancel, retry):
        each.add_argument("id", metavar="ID")
    add("vendors", "list the vendors that your key may use")
    return main


def _add_submit(submit: argparse.ArgumentParser) -> None:
    add = submit.add_argument
    add("file", metavar="FILE", help="CSV or JSON lines, by its name")
    add("--vendor", metavar="SLUG", help="the vendor of all rows")
    add(
        "--map",
        metavar="FIELD=COLUMN",
        action="append",
        default=[],
        help="a field of each job and its column; without any, each column is a field",
    )
    add(
        "--option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="reference=COLUMN, metadata.KEY=COLUMN, or for all rows expires_in=SECONDS, "
        "not_before=TIME",
    )
    add("--reference", metavar="TEXT", help="the name of the batch (default: that of FILE)")
    add("--wait", action="store_true", help="wait for the results, and write them")
    add("-o", "--output", metavar="OUTPUT", help="default: FILE with .results in its name")
    _add_fields(submit)
    add("--again", action="store_true", help="submit all rows anew, and replace the output")
    add("--format", choices=(CSV, JSON_LINES), help="of FILE, if its name does not tell")
    add("--encoding", help="of FILE (default: UTF-8, or Windows-1252 if it is not)")
    add("--delimiter", metavar="CHARACTER", type=_delimiter, help="of a CSV FILE")
    add("-q", "--quiet", action="store_true", help="show no progress")


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("--reference", metavar="TEXT", help="only those with this reference")
    command.add_argument("--limit", type=_count, default=20, help="at most this many (20)")


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", metavar="OUTPUT", help="default: standard output")
    command.add_argument(
        "--format", choices=(CSV, JSON_LINES), help="default: by the name, or jsonl"
    )
    command.add_argument("--partial", action="store_true", help="though it is not finished")
    _add_fields(command)


def _add_fields(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fields",
        metavar="A,B.C",
        type=_fields,
        help="columns for these fields of the result, instead of the whole result",
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9])):
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text[:9])


def _fields(text: str) -> list[str]:
    names = dict.fromkeys(name.strip() for name in text.split(","))
    if "" in names:
        raise argparse.ArgumentTypeError("must be names with commas between them")
    return list(names)


def _delimiter(text: str) -> str:
    found = "\t" if text in ("tab", "\\t") else text
    if len(found) != 1 or found in '"\r\n':
        raise argparse.ArgumentTypeError("must be one character, or tab")
    return found
