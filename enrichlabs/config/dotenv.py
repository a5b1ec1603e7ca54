"""Reads .env, then becomes the given command: python -m enrichlabs.config.dotenv COMMAND..., which
every script that reads .env calls.

What the environment says already wins. A line means what it means to Docker Compose, and what
Compose would expand is refused, so that one file serves both (docs/operations.md#environment has
the rules).
"""

import os
import re
import sys
from pathlib import Path

PATH = Path(".env")
BLANK = re.compile(r"[ \t]*(#[^\n]*)?(\n|\Z)")
NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=]*)[ \t]*(=?)[ \t]*")
SINGLE = re.compile(r"'((?:\\'|(?!\\')[^'])*)'")
DOUBLE = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
PLAIN_END = re.compile(r"[ \t]+#|[ \t]*(\n|\Z)")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def parse(content: bytes) -> dict[str, str]:
    """Return the variables of the file; of two lines with one name, the later. Raises ValueError
    with the number of a line.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _wrong(
            content[: error.start].decode(), "is not UTF-8. Save the file as UTF-8"
        ) from None
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := BLANK.match(text, at):
            at = blank.end()
            continue
        try:
            name, value, end = _variable(text, at)
        except ValueError as error:
            raise _wrong(text[:at], str(error)) from None
        found[name] = value
        at = end
    return found


def _wrong(before: str, reason: str) -> ValueError:
    return ValueError(f"Line {before.count(chr(10)) + 1} of .env {reason}.")


def _variable(text: str, at: int) -> tuple[str, str, int]:
    """Return name, value and where the next line begins. No message quotes a value: it may be a
    secret.
    """
    start = NAME.match(text, at)
    if not start or not start[2]:
        raise ValueError("has no =. Write NAME=value")
    name = start[1]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(
            "has a name with other characters than letters, digits and _. Correct the name"
        )
    value, end = _value(text, start.end())
    rest = BLANK.match(text, end)
    if not rest or (rest[1] and rest[0].startswith("#")):
        raise ValueError("goes on after the closing quote. Quote the whole value")
    if "\0" in value or "\r" in value and text[start.end()] not in "'\"":
        raise ValueError("has a control character in its value. Remove it")
    return name, value, rest.end()


def _value(text: str, at: int) -> tuple[str, int]:
    quote = text[at : at + 1]
    if quote == "'":
        if not (single := SINGLE.match(text, at)):
            raise ValueError("opens a quote ' that is not closed. Close it")
        return single[1].replace("\\'", "'"), single.end()
    if quote == '"':
        if not (double := DOUBLE.match(text, at)):
            raise ValueError('opens a quote " that is not closed. Close it')
        _refuse_dollar(re.sub(r"\\.", "", double[1], flags=re.DOTALL))
        return re.sub(r"\\(.)", _unescaped, double[1], flags=re.DOTALL), double.end()
    # A blank before # begins a comment, also where there is no value.
    if quote == "#" and text[at - 1] in " \t":
        return "", at - 1
    found = PLAIN_END.search(text, at)
    end = found.start() if found else len(text)
    _refuse_dollar(text[at:end])
    return text[at:end], end


def _refuse_dollar(value: str) -> None:
    if "$" in value:
        raise ValueError(
            "has a $, which Docker Compose would expand. Put the value in single quotes"
        )


def _unescaped(escape: re.Match[str]) -> str:
    try:
        return ESCAPES[escape[1]]
    except KeyError:
        raise ValueError(
            f"has \\{escape[1]} in double quotes, which means nothing. Put the value in single quotes"
        ) from None


def main(command: list[str]) -> None:
    try:
        variables = parse(PATH.read_bytes())
    except FileNotFoundError:
        variables = {}
    except OSError as error:
        sys.exit(
            f"enrichlabs: .env can't be read ({error.strerror}). Make it a file that this user can read."
        )
    except ValueError as error:
        sys.exit(f"enrichlabs: {error}")
    os.execvpe(command[0], command, {**variables, **os.environ})  # noqa: S606 - our own scripts' commands


if __name__ == "__main__":
    main(sys.argv[1:])
