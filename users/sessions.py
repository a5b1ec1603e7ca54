"""The console's sessions: Django's signed cookies, each good only as long as it has a row.

Logging out deletes the row, which ends every copy of the cookie. A row ends 12 hours after the
login, however often the session is used. docs/decisions/0020-user-model.md
"""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import signed_cookies
from django.db.models import QuerySet
from django.utils import timezone

from users.models import Session

ID = "session"


class SessionStore(signed_cookies.SessionStore):
    """`address` is where the request comes from; it is kept with a new session. `knows_client`:
    whether that is the client's own address, and not a proxy's that all share.
    """

    address = ""
    knows_client = False

    def load(self) -> dict[str, Any]:
        data = super().load()
        if SESSION_KEY in data and not _is_live(data):
            self.create()
            return {}
        return data

    def save(self, must_create: bool = False) -> None:
        if SESSION_KEY in self and ID not in self:
            self[ID] = _begin(self[SESSION_KEY], self.address)
        super().save(must_create)

    def cycle_key(self) -> None:
        """Give the session a new row: after a login, or a change of the user's password."""
        self._end()
        super().cycle_key()

    def flush(self) -> None:
        self._end()
        super().flush()

    def _end(self) -> None:
        if session := self.pop(ID, None):
            Session.objects.filter(pk=session).delete()


def _is_live(data: dict[str, Any]) -> bool:
    row = Session.objects.filter(pk=str(data.get(ID, ""))).first()
    return row is not None and row.user == data[SESSION_KEY] and row.ends_at > timezone.now()


def _begin(user: str, address: str) -> str:
    now = timezone.now()
    Session.objects.filter(ends_at__lte=now).delete()
    ends_at = now + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    session = Session(
        id=secrets.token_hex(16), user=user, address=address, started_at=now, ends_at=ends_at
    )
    session.save(force_insert=True)
    return session.id


def of_user(user: str, now: datetime) -> QuerySet[Session]:
    """Return the live sessions of a user, by primary key."""
    return Session.objects.filter(user=user, ends_at__gt=now).order_by("ends_at")


def end_all(user: str) -> int:
    """End a user's sessions everywhere, and return how many there were."""
    return Session.objects.filter(user=user).delete()[0]
