"""Creates a superuser: manage.py createsuperuser"""

from django.contrib.auth.management.commands import createsuperuser

from users.management.recorded import RecordedCommand


class Command(RecordedCommand, createsuperuser.Command):
    """Django's, with an entry in the audit trail."""

    action = "user.created"
