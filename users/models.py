"""What is kept about people who use the console, beside Django's users: live sessions, and logins
that failed. They name users as text, since the key's type differs between the stores.
"""

from django.db import models
from django.utils import timezone

from vendors.models import new_id


class Session(models.Model):
    """A session that has not ended. The cookie holds its id, so that without the row no copy of
    the cookie is worth anything.
    """

    id = models.CharField(primary_key=True, max_length=36, db_column="_id", editable=False)
    user = models.CharField(max_length=36)  # the user's primary key
    address = models.CharField(max_length=45, blank=True, default="")  # from which it began
    started_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["user", "ends_at"], name="session_of_user"),
            models.Index(fields=["ends_at"], name="session_end"),
        ]

    def __str__(self) -> str:
        return f"session of user {self.user}"


class FailedLogin(models.Model):
    """A login that has failed, or is being checked. The name that was typed is kept as a digest:
    people type passwords into that field.
    """

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    account = models.CharField(max_length=32)  # users.throttle.account_of the name
    address = models.CharField(max_length=45, blank=True)  # users.browsers.source_of the login
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["account", "address", "at"], name="failed_login_pair"),
            models.Index(fields=["account", "at"], name="failed_login_account"),
            models.Index(fields=["address", "at"], name="failed_login_address"),
            models.Index(fields=["at"], name="failed_login_at"),
        ]

    def __str__(self) -> str:
        return f"failed login from {self.address}"
