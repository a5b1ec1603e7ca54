"""`manage.py vendor add`: a vendor from the gallery, in one command."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.management.base import CommandError

from jobs.management.vendor.calling import can_check
from jobs.management.vendor.variables import Needed, credential_variables, needed
from jobs.trials import trying
from vendors.catalogue import listed
from vendors.loading import gallery, toml
from vendors.loading.load import load
from vendors.loading.toml import FaultyVendorsError, Parsed, SharedDefinition
from vendors.management.callbacks import callback_notes
from vendors.management.program import command
from vendors.models import Credential, Limit, Vendor

SET_IT = (
    "Set {name} ({holds}) for {readers}: in .env for script/server, or in the environment of your "
    "deployment"
)


@dataclass(frozen=True)
class Added:
    """What was added or, in a dry run, would be. `existing`: vendors that were there before;
    `shared` and `shared_limits`: credentials and limits that were there before, and are used as
    they are; `definition`: all of it as TOML.
    """

    name: str
    vendors: list[Vendor]
    credentials: list[str]
    limits: list[str]
    existing: list[str]
    shared: list[str]
    shared_limits: list[str]
    definition: str
    is_dry_run: bool

    @property
    def variables(self) -> list[Needed]:
        found = {each.name: each for vendor in self.vendors for each in needed(vendor)}
        return list(found.values())


def add(name: str, slug: str, *, dry_run: bool) -> Added:
    """Add what the gallery has as `name`. `slug`: the vendor's slug, if not its own.

    Raises CommandError, with nothing written, if there is nothing to add.
    """
    if name not in gallery.names():
        raise CommandError(_unknown(name))
    parsed = toml.parse(gallery.text(name))
    slugs = {each.slug: _renamed(each.slug, name, slug) for each in parsed.vendors}
    entries = [replace(each, slug=slugs[each.slug]) for each in parsed.vendors]
    existing = _stored(Vendor, [entry.slug for entry in entries])
    entries = [entry for entry in entries if entry.slug not in existing]
    if not entries:
        raise CommandError(_nothing_to_add(name, existing))
    shared, credentials = _split(Credential, parsed.credentials)
    shared_limits, limits = _split(Limit, parsed.limits)
    new = Parsed(entries, parsed.faults, credentials, limits)
    try:
        loaded = load(new, dry_run=dry_run, source=f"the gallery ({name})")
    except FaultyVendorsError as error:
        raise CommandError("\n".join(map(str, error.faults))) from None
    return Added(
        name,
        vendors=[each.row for each in loaded if isinstance(each.row, Vendor)],
        credentials=[each.slug for each in credentials],
        limits=[each.slug for each in limits],
        existing=existing,
        shared=shared,
        shared_limits=shared_limits,
        definition=gallery.renamed(name, slugs),
        is_dry_run=dry_run,
    )


def lines(added: Added) -> Iterator[str]:
    """Yield what was added, and what to do next."""
    if added.is_dry_run:
        yield "Dry run, nothing written."
    verb = "would be added" if added.is_dry_run else "added"
    yield from (f"Vendor {vendor}: {verb}." for vendor in added.vendors)
    yield from (f"Credential {slug}: {verb}." for slug in added.credentials)
    yield from (f"Limit {slug}: {verb}." for slug in added.limits)
    yield from (f"Vendor {slug} exists, and is left as it is." for slug in added.existing)
    yield from (f"Credential {slug} exists, and is used as it is." for slug in added.shared)
    yield from (f"Limit {slug} exists, and is used as it is." for slug in added.shared_limits)
    yield ""
    yield "Next steps:"
    for number, step in enumerate(_steps(added), 1):
        yield f"{number}. {step}"


def as_json(added: Added) -> dict[str, Any]:
    return {
        "name": added.name,
        "dry_run": added.is_dry_run,
        "vendors": [vendor.slug for vendor in added.vendors],
        "credentials": added.credentials,
        "limits": added.limits,
        "existing_vendors": added.existing,
        "existing_credentials": added.shared,
        "existing_limits": added.shared_limits,
        "definition": added.definition,
        "variables": [{"name": each.name, "is_set": each.is_set} for each in added.variables],
    }


def _steps(added: Added) -> Iterator[str]:
    for variable in added.variables:
        note = ". It is set here" if variable.is_set else ""
        yield f"{SET_IT.format(**variable._asdict())}{note}."
    checked = set()
    for vendor in added.vendors:
        yield from callback_notes(vendor)
        variables = tuple(credential_variables(vendor))
        if can_check(vendor) and (not variables or variables not in checked):
            checked.add(variables)
            what = "Prove the credential" if variables else "Check that it answers"
            yield f"{what}, by a free call: {command(f'vendor check {vendor}')}"
        yield f"Make one call: {try_command(vendor)}"


def try_command(vendor: Vendor) -> str:
    return command(f"vendor try {vendor} --input {shlex.quote(trying.example(vendor))}")


def _unknown(name: str) -> str:
    meant = gallery.near(name)
    hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
    return f"The gallery has no {name!r}.{hint} It has: {listed(gallery.names())}."


def _nothing_to_add(name: str, existing: Sequence[str]) -> str:
    slugs = listed(existing)
    exist = f"Vendor {slugs} exists" if len(existing) == 1 else f"The vendors {slugs} exist"
    return (
        f"{exist}, and nothing is overwritten. To add another one, choose its slug: "
        f"{command(f'vendor add {name} --as SLUG')}. To change what exists, use the console or "
        "load_vendors."
    )


def _renamed(slug: str, name: str, wanted: str) -> str:
    """Return the slug with `wanted` in place of the entry's name: hunter_verifier is one more."""
    if not wanted:
        return slug
    return wanted + slug.removeprefix(name) if slug.startswith(name) else f"{wanted}_{slug}"


def _split(
    model: type[Credential | Limit], entries: Sequence[SharedDefinition]
) -> tuple[list[str], tuple[SharedDefinition, ...]]:
    """Return which of the entries exist, by slug, and those that don't."""
    stored = _stored(model, [each.slug for each in entries])
    return stored, tuple(each for each in entries if each.slug not in stored)


def _stored(model: type[Vendor | Credential | Limit], slugs: Sequence[str]) -> list[str]:
    rows = model._default_manager.filter(slug__in=slugs).order_by("slug")
    return list(rows.values_list("slug", flat=True))
