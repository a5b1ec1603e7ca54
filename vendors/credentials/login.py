"""The login in two steps: a request that returns a token, which the calls then show."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vendors import variables
from vendors.credentials.grants import ADDRESS, MAX_LIFE_SECONDS, Issued, issued, values
from vendors.definitions import durations
from vendors.definitions.expressions.budget import Budget, TooMuchWorkError
from vendors.definitions.expressions.expression import Expression
from vendors.definitions.expressions.functions import number_of
from vendors.definitions.faults import DefinitionFaults, Faults, path_of
from vendors.definitions.names import Compiler, Names
from vendors.definitions.request import Request

FIELDS = ("json", "form", "json_env", "form_env")
KEYS = ("url", *FIELDS, "token", "expires_in", "life")
METHOD = re.compile(r"(GET|POST|PUT) +")
DEFAULT_LIFE = "1h"
NO_URL = "Must be a method and a URL, such as POST https://api.acme.example/login."
NO_VARIABLES = (
    "Name the variables that prove who we are: json_env or form_env, such as "
    '{ password = "VENDOR_ACME_PASSWORD" }.'
)
OF_ANSWER = Names({"status": None, "headers": None, "body": None})


@dataclass(frozen=True)
class Login:
    """`fixed` are the values that the definition names, `named` the variables of the others."""

    method: str
    url: str
    is_form: bool
    fixed: Mapping[str, Any]
    named: Mapping[str, str]
    token: Expression
    expires_in: Expression | None
    life_seconds: float
    definition: str = field(repr=False)

    @property
    def url_key(self) -> str:
        return "login.url"

    @property
    def key(self) -> str:
        return min(self.named.values())

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(self.named.values())

    @property
    def identity(self) -> str:
        return repr((self.definition, sorted(values(self.named).items())))

    @property
    def spellings(self) -> Iterator[str]:
        yield from ()

    def request(self) -> Request:
        sent = {**self.fixed, **values(self.named)}
        if self.is_form:
            form = [(name, str(value)) for name, value in sent.items()]
            return Request(self.method, self.url, form=form)
        return Request(self.method, self.url, json=sent)

    def read(self, scope: Mapping[str, Any]) -> Issued | None:
        budget = Budget()
        try:
            token = self.token.evaluate(scope, budget)
            life = self.expires_in.evaluate(scope, budget) if self.expires_in else None
        except TooMuchWorkError:
            return None
        return issued(token, number_of(life), self.life_seconds)


def parse(table: object) -> Login:
    """Return what the table `login` says. Raises DefinitionFaults."""
    faults = Faults()
    given = faults.table(table, "")
    faults.note_unknown(given, KEYS, "")
    method, url = _address(given.get("url"), faults)
    tables = {name: faults.table(given.get(name, {}), name) for name in FIELDS}
    _check_fields(tables, faults)
    compiler = Compiler(faults, OF_ANSWER)
    token = compiler.of(given, "token")
    if "token" not in given:
        faults.note("token", 'Must say where the token is, such as "body.token".')
    expires_in = compiler.of(given, "expires_in")
    life_seconds = _life(given.get("life", DEFAULT_LIFE), faults)
    if faults or token is None:
        raise DefinitionFaults(faults)
    return Login(
        method,
        url,
        is_form=bool(tables["form"] or tables["form_env"]),
        fixed={**tables["json"], **tables["form"]},
        named={**tables["json_env"], **tables["form_env"]},
        token=token,
        expires_in=expires_in,
        life_seconds=life_seconds,
        definition=json.dumps(given, sort_keys=True),
    )


def _address(value: object, faults: Faults) -> tuple[str, str]:
    method = METHOD.match(value) if isinstance(value, str) else None
    url = value[method.end() :] if isinstance(value, str) and method else ""
    if not method or not ADDRESS.fullmatch(url):
        faults.note("url", NO_URL)
        return "", ""
    return method[1], url


def _check_variables(name: str, table: Mapping[str, Any], faults: Faults) -> None:
    for key, variable in table.items():
        if refusal := variables.refusal(variable if isinstance(variable, str) else ""):
            faults.note(path_of(name, key), refusal)


def _check_fields(tables: Mapping[str, Mapping[str, Any]], faults: Faults) -> None:
    for name in ("json_env", "form_env"):
        _check_variables(name, tables[name], faults)
    for body in ("json", "form"):
        for key in tables[body].keys() & tables[f"{body}_env"].keys():
            faults.note(path_of(body, key), f"Remove it: {body}_env names a variable for it.")
    if any(isinstance(value, dict | list) for value in tables["form"].values()):
        faults.note("form", "Must have text or numbers as values.")
    if not (tables["json_env"] or tables["form_env"]):
        faults.note("json_env", NO_VARIABLES)
    is_json, is_form = (bool(tables[it] or tables[f"{it}_env"]) for it in ("json", "form"))
    if is_json and is_form:
        faults.note("form", "Remove it, or json: the request has one body.")


def _life(text: object, faults: Faults) -> float:
    with faults.at("life"):
        seconds = durations.parse(text)
        if not 1 <= seconds <= MAX_LIFE_SECONDS:
            raise ValueError("Must be at least 1s and at most 30day.")
        return seconds
    return 0.0
