"""Version 1 of the export format, as written by 0.1.0, in the words of version 2.

Columns that 0.1.0 did not have get their defaults, as any missing column does.
"""

from typing import Any

KINDS = {"delivery": "callback"}
STREAMS = {"again": "retries"}


def upgraded(kind: Any, columns: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the kind and the columns of a line as version 2 writes them.

    What version 1 does not define stays as it is, for the reader to refuse.
    """
    if kind == "job" and isinstance(stream := columns.get("stream"), str):
        columns = {**columns, "stream": STREAMS.get(stream, stream)}
    return KINDS.get(kind, kind) if isinstance(kind, str) else kind, columns


def upgraded_counts(counts: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of an end line by the kinds of version 2."""
    return {KINDS.get(kind, kind): count for kind, count in counts.items()}
