"""What is wrong with a vendor's definition, beyond the values of single columns."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from vendors import validators, variables
from vendors.definitions.callback import parse_proof
from vendors.definitions.checking import POLL_KEYS_WITHOUT_HTTP, WITHOUT_HTTP, check_times
from vendors.definitions.compiled import compile_definition
from vendors.definitions.faults import DefinitionFaults, Faults
from vendors.models.charging import Charged, faults_of_charging
from vendors.models.credential import Credential
from vendors.registry import is_http

# Of these keys, faults belong to the column of the same name.
COLUMNS = ("url", "required_input", "api_key_env", "webhook_secret_env")
INSTEAD = {
    "api_key_env": "Not used with adapter http: name a credential in the definition.",
    "webhook_secret_env": "Not used with adapter http: name it as callback.secret_env in the "
    "definition.",
}


class Settings(Charged, Protocol):
    """What is validated: a vendor."""

    @property
    def adapter(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def required_input(self) -> str: ...
    @property
    def credential(self) -> Credential | None: ...


def faults_of(vendor: Settings) -> dict[str, str]:
    """Return a sentence for each faulty key, as in DefinitionFaults."""
    found = _of_http(vendor) if is_http(vendor.adapter) else _of_others(vendor)
    of_all = (*_of_outbound(vendor.definition), *faults_of_charging(vendor))
    return {**dict(of_all), **dict(found)}


def required_of(fields: object) -> tuple[str, ...]:
    """Return which fields of the input are required, from a definition's `input`."""
    if not isinstance(fields, dict):
        return ()
    return tuple(name for name, need in fields.items() if need == "required")


def _of_http(vendor: Settings) -> Iterator[tuple[str, str]]:
    definition = vendor.definition
    for name, sentence in INSTEAD.items():
        if getattr(vendor, name):
            yield name, sentence
    if vendor.required_input not in ("", "name"):  # "name" is the column's default
        yield "required_input", "Not used with adapter http: name the fields as `input`."
    yield from _of_compiling(vendor)
    yield from _of_urls(vendor)
    slug = definition.get("credential")
    if isinstance(slug, str) and slug and not vendor.credential:
        yield "credential", f"There is no credential {slug!r}. Add it first, or to the same file."


def _of_compiling(vendor: Settings) -> Iterator[tuple[str, str]]:
    credential = vendor.credential.definition if vendor.credential else None
    try:
        compile_definition(vendor.url, vendor.definition, credential=credential)
    except DefinitionFaults as error:
        yield from error.faults.items()


def _of_urls(vendor: Settings) -> Iterator[tuple[str, str]]:
    """Check the hosts: the call, the poll and the check all carry the credential."""
    urls = {"url": vendor.url}
    for name in ("poll", "check"):
        request = vendor.definition.get(name)
        if isinstance(request, dict) and isinstance(request.get("url"), str):
            urls[f"{name}.url"] = request["url"]
    for key, url in urls.items():
        if refusal := validators.request_url_refusal(url):
            yield key, refusal


def _of_others(vendor: Settings) -> Iterator[tuple[str, str]]:
    if not validators.is_plain(vendor.url):
        yield "url", "Remove the method: only adapter http has one in front of the URL."
    definition = vendor.definition
    for key in definition:
        if key not in WITHOUT_HTTP:
            yield key, f"Only adapter http has this key. Others have {', '.join(WITHOUT_HTTP)}."
    if "callback" in definition:
        yield from _of_callback(definition["callback"])
    if "poll" in definition:
        yield from _of_poll(definition["poll"])


def _of_callback(callback: Any) -> Iterator[tuple[str, str]]:
    try:
        parse_proof(callback)
    except DefinitionFaults as error:
        yield from error.faults.items()


def _of_poll(poll: object) -> Iterator[tuple[str, str]]:
    if not isinstance(poll, dict):
        yield "poll", 'Must be a table, such as { every = "5s", give_up = "10min" }.'
        return
    faults = Faults()
    faults.note_unknown(poll, POLL_KEYS_WITHOUT_HTTP, "poll")
    check_times(poll, faults)
    yield from faults.items()


def _of_outbound(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "proxy_env" in definition:
        name = definition["proxy_env"]
        if refusal := variables.refusal(name if isinstance(name, str) else ""):
            yield "proxy_env", refusal
    for key in ("ca_file", "client_cert_file"):
        path = definition.get(key, "/")
        if not isinstance(path, str) or not path.startswith("/"):
            yield key, "Must be the absolute path of a PEM file, such as /etc/ssl/acme.pem."
