"""What an API key allows."""

from django.db import models


class Scope(models.TextChoices):
    SUBMIT = "jobs:submit", "jobs:submit (post jobs)"
    READ = "jobs:read", "jobs:read (show and list jobs)"
    MANAGE = "jobs:manage", "jobs:manage (cancel and retry jobs)"
    METRICS = "metrics:read", "metrics:read (read /metrics)"
