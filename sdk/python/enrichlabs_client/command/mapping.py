"""Makes the fields and options of a job from a row."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from enrichlabs_client.command.failures import UsageError, listed
from enrichlabs_client.command.tables import Row, Table
from enrichlabs_client.json_text import plain
from enrichlabs_client.uploads import as_json

RESERVED = ("vendor", "options")


@dataclass(frozen=True)
class JobMapping:
    columns: Mapping[str, str]
    """The column of each field."""
    option_columns: Mapping[str, str] = field(default_factory=dict)
    """The column of the reference, and of each metadata key as metadata.KEY."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """The options that all jobs share."""

    def job(self, row: Row) -> str:
        """Return the job as JSON text."""
        members = {name: row[column] for name, column in self.columns.items() if column in row}
        if options := self._options(row):
            members["options"] = options
        return "{" + ",".join(f"{as_json(name)}:{text}" for name, text in members.items()) + "}"

    def _options(self, row: Row) -> str:
        options: dict[str, object] = {}
        metadata: dict[str, str] = {}
        for name, column in self.option_columns.items():
            if value := plain(row.get(column)):
                _, is_metadata, key = name.partition("metadata.")
                (metadata if is_metadata else options)[key or name] = value
        if metadata:
            options["metadata"] = metadata
        return as_json(options) if options else ""

    def jobs(self, table: Table) -> Iterator[str]:
        return map(self.job, table.rows())


def mapping_of(table: Table, maps: list[str], options: list[str], vendor: str | None) -> JobMapping:
    columns: dict[str, str] = {}
    for each in maps:
        name, column = _pair(each, "--map", "FIELD=COLUMN")
        if name in columns:
            raise UsageError(f"--map names the field {name} twice.")
        columns[name] = column
    option_columns, defaults = _options_of(options)
    for column in (*columns.values(), *option_columns.values()):
        if column not in table.columns:
            raise UsageError(
                f"{table.file.path} has no column {column!r}. It has: {listed(table.columns)}"
            )
    columns = columns or {name: name for name in table.columns}
    _check_reserved(table, columns, option_columns, vendor)
    return JobMapping(columns, option_columns, defaults)


def _options_of(options: list[str]) -> tuple[dict[str, str], dict[str, object]]:
    """Return the columns of options, and those with one value for all rows."""
    columns: dict[str, str] = {}
    defaults: dict[str, object] = {}
    for each in options:
        name, value = _pair(each, "--option", "NAME=VALUE")
        if name in columns or name in defaults:
            raise UsageError(f"--option names {name} twice.")
        if name == "reference" or (name.startswith("metadata.") and name != "metadata."):
            columns[name] = value
        else:
            defaults[name] = _default(name, value)
    return columns, defaults


def _default(name: str, text: str) -> object:
    """Return the value of an option of all rows. The service knows best what else is allowed."""
    if name == "expires_in":
        if not re.fullmatch("[1-9][0-9]{0,8}", text):
            raise UsageError(
                f"--option {name}={text}: it must be a whole number of seconds, such as 3600."
            )
        return int(text)
    if name == "not_before":
        if not _is_moment(text):
            raise UsageError(
                f"--option {name}={text}: it must be a time with its zone, such as "
                "2027-01-31T12:00:00Z."
            )
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _check_reserved(
    table: Table, columns: Mapping[str, str], options: Mapping[str, str], vendor: str | None
) -> None:
    if "vendor" in columns and vendor:
        raise UsageError(
            "A field named vendor chooses the vendor of each row. Leave out --vendor, or name the "
            "fields with --map."
        )
    if not vendor and "vendor" not in columns:
        raise UsageError("Name the vendor with --vendor. `enrichlabs vendors` lists them.")
    if "options" in columns and (options or table.format == "csv"):
        raise UsageError(
            "A field named options would be the options of each job. Name the fields with --map."
        )


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"{option} {text} is not {form}.")
    return name, value
