"""Reads .env, then executes a command with it: python -m enrichlabs.config.dotenv COMMAND...

Variables that are already set win. A line means what it means to Docker Compose, and what Compose
would expand is refused, so that one file serves both (docs/settings.md has the
rules).
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
    """Return the variables in the file; the last line wins if a name is repeated. Raises ValueError
    with the line number.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise _error(before, "is not UTF-8. Save the file as UTF-8") from None
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := BLANK.match(text, at):
            at = blank.end()
            continue
        try:
            name, value, end = _variable(text, at)
        except ValueError as error:
            raise _error(text[:at], str(error)) from None
        found[name] = value
        at = end
    return found


def _error(before: str, reason: str) -> ValueError:
    return ValueError(f"Line {before.count(chr(10)) + 1} of .env {reason}.")


def _variable(text: str, at: int) -> tuple[str, str, int]:
    """Return name, value, and where the next line begins. Errors do not quote values, which may be
    secret.
    """
    start = NAME.match(text, at)
    if not start or not start[2]:
        raise ValueError("has no =. Write NAME=value")
    name = start[1]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("has a name with characters other than letters, digits and _. Correct it")
    value, end = _value(text, start.end())
    rest = BLANK.match(text, end)
    if not rest or (rest[1] and rest[0].startswith("#")):
        raise ValueError("continues after the closing quote. Quote the whole value")
    if "\0" in value or "\r" in value and text[start.end()] not in "'\"":
        raise ValueError("has a control character in its value. Remove it")
    return name, value, rest.end()


def _value(text: str, at: int) -> tuple[str, int]:
    quote = text[at : at + 1]
    if quote == "'":
        if not (single := SINGLE.match(text, at)):
            raise ValueError("has an unclosed quote '. Close it")
        return single[1].replace("\\'", "'"), single.end()
    if quote == '"':
        if not (double := DOUBLE.match(text, at)):
            raise ValueError('has an unclosed quote ". Close it')
        _refuse_dollar(re.sub(r"\\.", "", double[1], flags=re.DOTALL))
        return re.sub(r"\\(.)", _unescaped, double[1], flags=re.DOTALL), double.end()
    # A space before # begins a comment, even if there is no value.
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
            f"has the unknown escape \\{escape[1]}. Put the value in single quotes"
        ) from None


def main(command: list[str]) -> None:
    try:
        variables = parse(PATH.read_bytes())
    except FileNotFoundError:
        variables = {}
    except OSError as error:
        sys.exit(f"enrichlabs: .env can't be read ({error.strerror}). Make it readable.")
    except ValueError as error:
        sys.exit(f"enrichlabs: {error}")
    os.execvpe(command[0], command, {**variables, **os.environ})  # noqa: S606 - commands of our scripts


if __name__ == "__main__":
    main(sys.argv[1:])
