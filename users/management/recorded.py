"""Audit entries for Django's own commands that save a user."""

from typing import Any, ClassVar

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db.models.signals import post_save

from audit.record import command_line, record


class RecordedCommand(BaseCommand):
    action: ClassVar[str]

    def handle(self, *args: Any, **options: Any) -> Any:
        def record_save(instance: Any, **kwargs: Any) -> None:
            target = f"user:{instance.get_username()}"[:100]
            record(command_line(), self.action, target)

        post_save.connect(record_save, sender=get_user_model())
        try:
            return super().handle(*args, **options)
        finally:
            post_save.disconnect(record_save, sender=get_user_model())
