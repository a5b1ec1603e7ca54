"""Changes to the lines of an exported file."""

import json


def changed(path, number, change):
    """Change one line of the file. Numbers start at 1."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"".join(lines))


def columns(**columns):
    return lambda line: json.dumps({**json.loads(line), **columns}).encode() + b"\n"


def without(name):
    return lambda line: (
        json.dumps({key: value for key, value in json.loads(line).items() if key != name}).encode()
        + b"\n"
    )
