"""Pauses of the keys of credentials, and of the vendors that no key is left for."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from vendors.catalogue import catalogue
from vendors.definitions.faults import DefinitionFaults
from vendors.models import Credential, CredentialKey, Vendor, users_of
from vendors.models.pausable import (
    DENIED_REASONS,
    NONE_USABLE,
    OF_KEYS,
    UNPAID_REASONS,
)
from vendors.pauses.terms import (
    RUNNING,
    begin,
    begin_until,
    not_resumed_since,
)

NO_KEYS: frozenset[str] = frozenset()
# As Vendor.only_calls_are_paused, of a vendor with a credential.
ONLY_CALLS = Q(paused_by="") & (
    Q(pause_reason__startswith=NONE_USABLE) | Q(pause_reason__in=UNPAID_REASONS)
)


def pause(
    credential: str,
    key: str,
    reason: str,
    by: str = "",
    *,
    now: datetime | None = None,
    called_at: datetime | None = None,
) -> bool:
    """Pause a key until it is resumed. Returns False if it already is, or if an operator's pause
    has not ended, unless `by` says that this is one too.

    `now`: as for `pause_until`. `called_at`: as for `vendors.pauses.pause`.
    """
    rows = _rows(credential, key).filter(_may_pause(by, now or timezone.now()))
    running = Q(paused=False)
    if reason in DENIED_REASONS:  # which also ends the polls of a key that is out of credits
        running |= Q(paused_by="", pause_reason__in=UNPAID_REASONS)
    changed = begin(rows.filter(running, not_resumed_since(called_at)), reason, by)
    catalogue.forget()
    return changed


def pause_until(
    credential: str,
    key: str,
    until: datetime,
    reason: str,
    by: str = "",
    *,
    now: datetime,
    called_at: datetime | None = None,
) -> bool:
    """Pause a key until a time. Returns False if it is already paused for longer, or as `pause`
    does. `now` is by the clock that workers compare pauses with.
    """
    rows = _rows(credential, key).filter(_may_pause(by, now))
    running = rows.filter(not_resumed_since(called_at), paused=False)
    changed = begin_until(running, until, reason, by, now=now, since=now)
    catalogue.forget()
    return changed


def resume(credential: str, key: str, *, now: datetime) -> bool:
    """End a key's pauses, and those of the vendors that were paused because no key was left.

    Returns whether the key was paused. `now` is by Redis' clock.
    """
    return bool(_resume(CredentialKey.objects.filter(credential=credential, name=key), now))


def resume_automatic(
    credential: str, reasons: Collection[str] = (), *, key: str = "", now: datetime
) -> int:
    """End those pauses of the keys, or of `key` alone, that answers of vendors have set, for one of
    these reasons or, for (), any; then those of the vendors that no key was left for.

    Returns how many keys were paused.
    """
    rows = CredentialKey.objects.filter(credential=credential, paused_by="")
    rows = rows.filter(name=key) if key else rows
    return _resume(rows.filter(pause_reason__in=reasons) if reasons else rows, now)


def _resume(rows: QuerySet[CredentialKey], now: datetime) -> int:
    paused = list(rows.filter(Q(paused=True) | Q(paused_until__gt=now)))
    for row in paused:
        # Unless its pause has changed since it was read.
        same = CredentialKey.objects.filter(pk=row.pk, pause_reason=row.pause_reason)
        same.update(**RUNNING, resumed_at=now)
    for credential in {row.credential for row in paused}:
        resume_vendors(credential, [row.pause_reason for row in paused], now=now)
    catalogue.forget()
    return len(paused)


def pause_vendors(
    credential: str,
    *,
    now: datetime,
    lacking: Collection[str] = NO_KEYS,
    called_at: datetime | None = None,
) -> list[str]:
    """Pause the vendors that use the credential if no call may be made with any of its keys, until
    one may be made with the first. `lacking`: keys that no worker has. Returns the vendors that are
    newly paused. A vendor that is paused for another reason stays so until that pause ends.
    """
    names = _names(credential)
    pauses = [key for key in _paused(credential, now) if key.name in names]
    if not pauses or not {*names} <= {*lacking, *(key.name for key in pauses)}:
        return []
    ends = [key.paused_until for key in pauses if key.paused_until and not key.paused]
    until = min(ends, default=None)
    first = next(key for key in pauses if not until or key.paused_until == until)
    is_alone = len(names) == 1 and first.pause_reason in OF_KEYS
    reason = f"{'' if is_alone else NONE_USABLE}{first.pause_reason}"
    paused = []
    for vendor in _users(credential):
        has_no_other = ONLY_CALLS | Q(paused_until=None) | Q(paused_until__lte=now)
        running = Vendor.objects.filter(has_no_other, not_resumed_since(called_at), paused=False)
        running = running.filter(pk=vendor.pk)
        if until:
            is_new = begin_until(running, until, reason, "", now=now, since=now)
        else:
            is_new = begin(running, reason, "")
        paused += [vendor.slug] * is_new
    catalogue.forget()
    return paused


def resume_vendors(
    credential: str,
    reasons: Collection[str],
    *,
    now: datetime,
    lacking: Collection[str] = NO_KEYS,
) -> int:
    """End the pauses of the vendors that no key of the credential was left for, if one is now.

    `reasons`: for which keys were paused. Returns how many pauses have ended.
    """
    if not has_key_to_call_with(credential, now, lacking):
        return 0
    of_keys = [reason for reason in reasons if reason in OF_KEYS]
    for_keys = Q(pause_reason__startswith=NONE_USABLE) | Q(pause_reason__in=of_keys)
    users = [vendor.pk for vendor in _users(credential)]
    vendors = Vendor.objects.filter(for_keys, pk__in=users, paused_by="")
    changed = vendors.update(**RUNNING, resumed_at=now)
    catalogue.forget()
    return changed


def has_key_to_call_with(
    credential: str, now: datetime, lacking: Collection[str] = NO_KEYS
) -> bool:
    """Whether a key of the credential is neither retired nor paused, as far as the rows say."""
    out = {*lacking, *(key.name for key in _paused(credential, now))}
    return not {*_names(credential)} <= out


def credential_of(slug: str) -> str:
    """Return the credential that a vendor's definition names; '' if it names none."""
    vendor = Vendor.objects.filter(slug=slug).only("definition").first()
    return str(vendor.definition.get("credential") or "") if vendor else ""


def _may_pause(by: str, now: datetime) -> Q:
    """Select what may be paused. An answer does not replace the pause of an operator, which would
    then end as automatic ones do. After its end, the next call brings the same answer.
    """
    is_running = Q(paused_until=None) | Q(paused_until__lte=now)
    return Q() if by else Q(paused_by="") | is_running


def _rows(credential: str, key: str) -> QuerySet[CredentialKey]:
    """Return the key's row, which begins with its first pause."""
    row, _ = CredentialKey.objects.get_or_create(credential=credential, name=key)
    return CredentialKey.objects.filter(pk=row.pk)


def _paused(credential: str, now: datetime) -> list[CredentialKey]:
    keys = CredentialKey.objects.filter(credential=credential).order_by("-paused_at")
    return [key for key in keys if key.is_paused(now)]


def _names(credential: str) -> tuple[str, ...]:
    """Return the keys with which calls are made."""
    row = Credential.objects.filter(slug=credential).first()
    try:
        return row.scheme.keys if row else ()
    except DefinitionFaults:
        return ()


def _users(credential: str) -> list[Vendor]:
    return users_of(Credential(slug=credential))
