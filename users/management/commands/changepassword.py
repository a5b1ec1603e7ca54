"""Changes a user's password: manage.py changepassword ann"""

from django.contrib.auth.management.commands import changepassword

from users.management.recorded import RecordedCommand


class Command(RecordedCommand, changepassword.Command):
    """Django's, with an entry in the audit trail."""

    action = "user.password_changed"
