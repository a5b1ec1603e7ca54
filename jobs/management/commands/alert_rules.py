"""manage.py alert_rules: prints the alert rules for Prometheus."""

from typing import Any

from django.core.management.base import BaseCommand

from jobs.monitoring.rules import alerts


class Command(BaseCommand):
    help = "Prints the alert rules for Prometheus, as in deploy/prometheus/alerts.yml."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(alerts.text(), ending="")
