"""A vendor's row as TOML: what `manage.py load_vendors` would read to make the same row."""

from typing import Any

from vendors.loading.keys import DEFINITION_KEYS, KINDS, LISTS, REQUIRED
from vendors.loading.writer import written
from vendors.models import Vendor, required_input_of


def definition_of(vendor: Vendor) -> str:
    """Return the vendor's table, and that of its credential.

    Keys stand in the order of vendors.loading.keys, except that a table too long for a line comes
    last. Columns with their defaults are left out, and so is state that no file has: a pause.
    """
    table = {**_columns(vendor), **_ordered(vendor.definition)}
    text = written(table, ("vendors", vendor.slug))
    if vendor.credential:
        name = ("credentials", vendor.credential.slug)
        text = f"{written(vendor.credential.definition, name)}\n{text}"
    return text


def definition_text(definition: dict[str, Any]) -> str:
    """Return a definition alone, as vendors.loading.toml.parse_definition reads it."""
    return written(_ordered(definition))


def default_of(name: str, adapter: str) -> Any:
    """Return the value of a column that a vendor's table does not name."""
    if name == "required_input":
        return required_input_of(adapter)
    return Vendor._meta.get_field(name).get_default()  # type: ignore[union-attr]  # no relations


def _columns(vendor: Vendor) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in KINDS:
        value = getattr(vendor, name)
        if name in REQUIRED or value != default_of(name, vendor.adapter):
            found[name] = _as_toml(name, value)
    return found


def _as_toml(name: str, value: Any) -> Any:
    if name in LISTS:
        return [word for word in value.replace(",", " ").split() if word]
    return "" if value is None else value


def _ordered(definition: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in definition if name not in DEFINITION_KEYS]
    names = [*(name for name in DEFINITION_KEYS if name in definition), *unknown]
    return {name: definition[name] for name in names}
