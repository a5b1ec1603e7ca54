"""OAuth2 client credentials (RFC 6749, section 4.4)."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any
from urllib.parse import quote

from vendors import variables
from vendors.credentials.grants import ADDRESS, Issued, issued, value
from vendors.credentials.placement import basic
from vendors.definitions.expressions.functions import number_of
from vendors.definitions.faults import DefinitionFaults, Faults
from vendors.definitions.request import Request

HINTS = {"url": "Did you mean token_url?"}
KEYS = ("token_url", "id_env", "secret_env", "scope", "send")
SEND = ("body", "basic")
# Of a token whose answer names no life, as RFC 6749 allows. A 401 ends it before.
DEFAULT_LIFE_SECONDS = 3600.0
NO_URL = "Must be the URL of the token endpoint, such as https://api.acme.example/oauth/token."


@dataclass(frozen=True)
class OAuth2:
    token_url: str
    id_env: str
    secret_env: str
    scope: str = ""
    send: str = "body"

    @property
    def url(self) -> str:
        return self.token_url

    @property
    def url_key(self) -> str:
        return "oauth2.token_url"

    @property
    def key(self) -> str:
        return self.secret_env

    @property
    def variables(self) -> tuple[str, ...]:
        return self.id_env, self.secret_env

    @property
    def identity(self) -> str:
        return repr((astuple(self), *map(value, self.variables)))

    @property
    def spellings(self) -> Iterator[str]:
        if self.send == "basic":
            yield basic(self._pair)

    @property
    def _pair(self) -> str:
        # Encoded before it is joined, as RFC 6749 wants it: either may contain a colon.
        return ":".join(quote(value(name), safe="") for name in self.variables)

    def request(self) -> Request:
        form = [("grant_type", "client_credentials")]
        if self.scope:
            form.append(("scope", self.scope))
        if self.send == "basic":
            headers = {"Authorization": f"Basic {basic(self._pair)}"}
            return Request("POST", self.token_url, headers=headers, form=form)
        form += [("client_id", value(self.id_env)), ("client_secret", value(self.secret_env))]
        return Request("POST", self.token_url, form=form)

    def read(self, scope: Mapping[str, Any]) -> Issued | None:
        body = scope.get("body")
        if not isinstance(body, dict):
            return None
        life = number_of(body.get("expires_in"))
        return issued(body.get("access_token"), life, DEFAULT_LIFE_SECONDS)


def parse(table: object) -> OAuth2:
    """Return what the table `oauth2` says. Raises DefinitionFaults."""
    faults = Faults()
    given = faults.table(table, "")
    faults.note_unknown(given, KEYS, "", HINTS)
    url = given.get("token_url")
    if not isinstance(url, str) or not ADDRESS.fullmatch(url):
        faults.note("token_url", NO_URL)
    for name in ("id_env", "secret_env"):
        variable = given.get(name)
        if refusal := variables.refusal(variable if isinstance(variable, str) else ""):
            faults.note(name, refusal)
    scope = given.get("scope", "")
    if not isinstance(scope, str) or not scope.isprintable():
        faults.note("scope", 'Must be text: scopes with spaces between them, such as "read all".')
    if given.get("send", "body") not in SEND:
        faults.note("send", "Must be body or basic.")
    if faults:
        raise DefinitionFaults(faults)
    return OAuth2(**given)
