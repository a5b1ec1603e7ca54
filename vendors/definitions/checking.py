"""Checks of a definition that concern its keys, or several of them at once."""

from collections.abc import Mapping
from typing import Any

from vendors.base import RESERVED_INPUT, Outcome
from vendors.definitions import durations
from vendors.definitions.expressions.expression import Name
from vendors.definitions.faults import Faults, path_of
from vendors.definitions.polling import DEFAULT_EVERY
from vendors.definitions.templates.address import PORTS, Address
from vendors.definitions.templates.request import PARTS

OUTBOUND = ("proxy_env", "ca_file", "client_cert_file")
FOUND = ("result", "reference", "confidence", "cost", "outcomes")
CHARGED = ("limits", "weight")  # what a call counts in
KEYS = (*PARTS, "input", "credential", *FOUND, *CHARGED, "callback", "poll", "check", *OUTBOUND)
# What the definition of a vendor with an adapter other than http may say.
WITHOUT_HTTP = (*CHARGED, "callback", "poll", *OUTBOUND)
TIMES = ("after", "every", "give_up")
POLL_KEYS = ("url", *PARTS, *TIMES, "pending", "restart", "result", "weight")
POLL_KEYS_WITHOUT_HTTP = (*TIMES, "weight")
CHECK_KEYS = ("url", *PARTS, "outcomes", "credits")
NEEDS = ("required", "optional")
OTHER_HOST = "The credential's key would go to another host, port or scheme than that of `url`."
MAX_TIME_SECONDS = 30 * 86400
Used = Mapping[str, set[Name]]


def check_known(definition: Mapping[str, Any], faults: Faults) -> None:
    faults.note_unknown(definition, KEYS, "")
    for name, known in {"poll": POLL_KEYS, "check": CHECK_KEYS}.items():
        if isinstance(table := definition.get(name), Mapping):
            faults.note_unknown(table, known, name)
    slug = definition.get("credential", "x")
    if not isinstance(slug, str) or not slug:
        faults.note("credential", "Must be the name of a table [credentials.NAME].")


def check_inputs(value: object, faults: Faults) -> dict[str, str]:
    """Return which fields of the input are required, and which are optional."""
    if value is None:
        return {}
    inputs = faults.table(value, "input")
    for name, need in inputs.items():
        if need not in NEEDS:
            faults.note(path_of("input", name), 'Must be "required" or "optional".')
        elif name in RESERVED_INPUT:
            faults.note(path_of("input", name), "EnrichLabs reads this field itself. Remove it.")
    return dict(inputs)


def check_together(
    definition: Mapping[str, Any],
    credential: Mapping[str, Any] | None,
    used: Used,
    faults: Faults,
) -> None:
    """Note what is missing because of another key. `used` has the names of each request."""
    poll, callback = definition.get("poll"), definition.get("callback")
    if isinstance(poll, Mapping):
        _check_poll(poll, definition, used, faults)
    if isinstance(callback, Mapping):
        _check_callback(callback, definition, faults)
    if poll is None and callback is None:
        _check_pending(definition, used, faults)
    if credential and "body" in credential:
        _check_body(definition, faults)


def check_hosts(
    addresses: Mapping[str, Address], credential: Mapping[str, Any], faults: Faults
) -> None:
    """Note the requests that would send the credential's key where it may not go: to another host
    than the call goes to, unless the credential names it.
    """
    try:
        origins = {key: address.origin for key, address in addresses.items()}
    except ValueError:
        return  # refused with the rest of the URL
    scheme, named = origins["url"][0], credential.get("hosts")
    for key, origin in origins.items():
        host = origin[1] if origin[2] == PORTS[origin[0]] else f"{origin[1]}:{origin[2]}"
        is_named = isinstance(named, list) and host in named and origin[0] in (scheme, "https")
        if origin != origins["url"] and not is_named:
            sentence = f'{OTHER_HOST} If it may, add hosts = ["{host}"] to the credential.'
            faults.note(key, sentence)


def _check_poll(
    poll: Mapping[str, Any], definition: Mapping[str, Any], used: Used, faults: Faults
) -> None:
    check_times(poll, faults)
    if "url" not in poll:
        for part in PARTS:
            if part in poll:
                faults.note(f"poll.{part}", "Add poll.url: without it, a poll repeats the call.")
        return
    if "reference" not in definition:
        sentence = "A poll with a url needs `reference`, which says what {ref} is. Add it."
        faults.note("reference", sentence)
    names = used.get("poll", set())
    if not any(name.root == "ref" for name in names) and "poll.url" not in faults:
        faults.note("poll.url", "Put {ref} into the poll's request, so that it names the work.")


def check_times(poll: Mapping[str, Any], faults: Faults) -> None:
    seconds = {name: _seconds(poll, name, faults) for name in TIMES}
    first = seconds["after"] or seconds["every"] or durations.parse(DEFAULT_EVERY)
    if seconds["give_up"] and seconds["give_up"] < first:
        faults.note("poll.give_up", f"Must be at least {first:g}s, or there is no poll before.")


def _seconds(poll: Mapping[str, Any], name: str, faults: Faults) -> float | None:
    if name not in poll:
        return None
    with faults.at(f"poll.{name}"):
        seconds = durations.parse(poll[name])
        if not 1 <= seconds <= MAX_TIME_SECONDS:
            raise ValueError("Must be at least 1s and at most 30day.")
        return seconds
    return None


def _check_callback(
    callback: Mapping[str, Any], definition: Mapping[str, Any], faults: Faults
) -> None:
    for name in ("thin", "confirm"):
        if callback.get(name) and "poll" not in definition:
            faults.note(f"callback.{name}", "Needs a poll, which asks for the result. Add `poll`.")
    if callback.get("reference") and "reference" not in definition:
        sentence = "Needs `reference`, to find the job by what the answer to its call said. Add it."
        faults.note("callback.reference", sentence)


def _check_pending(definition: Mapping[str, Any], used: Used, faults: Faults) -> None:
    """A vendor that is not polled and never told our callback URL can't answer later."""
    if Name("call", "callback_url") in used.get("", set()):
        return
    if "reference" in definition:
        faults.note("reference", "Needs a poll or a callback, which brings the result. Add one.")
    outcomes = definition.get("outcomes")
    for index, rule in enumerate(outcomes if isinstance(outcomes, list) else []):
        if isinstance(rule, Mapping) and rule.get("is") == Outcome.PENDING:
            sentence = "Needs a poll or a callback, which brings the result. Add one."
            faults.note(f"outcomes[{index}].is", sentence)


def _check_body(definition: Mapping[str, Any], faults: Faults) -> None:
    """Note the requests that have no place for a key in the body."""
    requests = {"": definition}
    for name in ("poll", "check"):
        table = definition.get(name)
        if isinstance(table, Mapping) and "url" in table:
            requests[name] = table
    for path, table in requests.items():
        if "form" not in table and not isinstance(table.get("json"), Mapping):
            key = f"{path}.json" if path else "json"
            sentence = "The credential is a field of the body. Add json = {} or form = {}."
            faults.note(key, sentence)
