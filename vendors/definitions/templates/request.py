"""The template of a whole request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vendors.definitions.expressions.budget import Budget, TooMuchWorkError
from vendors.definitions.faults import path_of
from vendors.definitions.names import Compiler
from vendors.definitions.request import HEADER_NAME, Request
from vendors.definitions.templates.address import Address, compile_address
from vendors.definitions.templates.text import (
    Template,
    UnfillableError,
    compile_value,
    fill,
    text_of,
)

PARTS = ("query", "headers", "json", "form")
# They frame the message, or would hold a secret.
REFUSED_HEADERS = {
    **dict.fromkeys(
        ("host", "content-length", "transfer-encoding", "connection", "te", "accept-encoding"),
        "Remove this header: EnrichLabs sets it itself.",
    ),
    **dict.fromkeys(
        ("authorization", "proxy-authorization", "cookie"),
        "Remove this header, and name a credential with the key `credential`.",
    ),
}
TOO_MUCH_WORK = "The expressions of the request are too much work. Make them simpler."


@dataclass(frozen=True)
class RequestTemplate:
    """`json` and `form` are None if the request has no such body. `path` is where it stands."""

    address: Address
    path: str
    query: Template
    headers: Template
    json: Template | None
    form: Template | None

    def fill(self, scope: Mapping[str, Any]) -> Request:
        """Raises UnfillableError if the request can't be made from these values."""
        budget = Budget()
        try:
            form = self._pairs("form", self.form, scope, budget)
            return Request(
                self.address.method,
                self.address.fill(scope, budget),
                self._pairs("query", self.query, scope, budget),
                dict(self._headers(scope, budget)),
                fill(self.json, scope, budget),
                form if self.form is not None else None,
            )
        except TooMuchWorkError:
            raise UnfillableError(TOO_MUCH_WORK) from None

    def sets_header(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key in self.headers)

    def _pairs(
        self, part: str, template: Template, scope: Mapping[str, Any], budget: Budget
    ) -> list[tuple[str, str]]:
        """Return parameters: of a list, one for each element."""
        filled = fill(template or {}, scope, budget)
        return [
            (name, _parameter(value, path_of(_below(self.path, part), name)))
            for name, found in filled.items()
            for value in (found if isinstance(found, list) else [found])
            if value is not None
        ]

    def _headers(self, scope: Mapping[str, Any], budget: Budget) -> Iterator[tuple[str, str]]:
        for name, value in fill(self.headers, scope, budget).items():
            key = path_of(_below(self.path, "headers"), name)
            text = _parameter(value, key)
            if not (text.isascii() and text.isprintable()):
                raise UnfillableError(f"{key}: a header can only have printable ASCII characters.")
            yield name, text


def compile_request(
    table: Mapping[str, Any], url: object, path: str, compiler: Compiler
) -> RequestTemplate | None:
    """Return None if the request has a fault; `path` is '' for that of the vendor itself."""
    count = len(compiler.faults)
    address = compile_address(url, _below(path, "url"), compiler)
    if "json" in table and "form" in table:
        sentence = "Remove form or json: a request has one body."
        compiler.faults.note(_below(path, "form"), sentence)
    parts = {part: _part(table, part, path, compiler) for part in PARTS}
    for name in parts["headers"]:
        _check_header(name, path, compiler)
    if address is None or len(compiler.faults) > count:
        return None
    bodies = {part: parts[part] if part in table else None for part in ("json", "form")}
    return RequestTemplate(address, path, parts["query"], parts["headers"], **bodies)


def _part(table: Mapping[str, Any], part: str, path: str, compiler: Compiler) -> Template:
    value, key = table.get(part, {}), _below(path, part)
    if part == "json":
        return compile_value(value, key, compiler)
    template = compile_value(dict(compiler.faults.table(value, key)), key, compiler)
    for name, item in template.items():
        if not _is_flat(item, in_list=part == "headers"):
            sentence = "Must be text or a number" + ("." if part == "headers" else ", or a list.")
            compiler.faults.note(path_of(key, name), sentence)
    return template


def _is_flat(item: Template, *, in_list: bool = False) -> bool:
    if isinstance(item, list):
        return not in_list and all(_is_flat(each, in_list=True) for each in item)
    return not isinstance(item, dict)


def _check_header(name: str, path: str, compiler: Compiler) -> None:
    key = path_of(_below(path, "headers"), name)
    if not HEADER_NAME.fullmatch(name):
        compiler.faults.note(key, 'Must be the name of a header, such as "X-Request-Source".')
    elif refusal := REFUSED_HEADERS.get(name.lower()):
        compiler.faults.note(key, refusal)


def _parameter(value: Any, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text_of(value, key)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
