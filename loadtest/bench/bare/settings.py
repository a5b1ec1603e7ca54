"""Settings of the bare project: no middleware, and its own SQLite, opened with our options."""

import os
from pathlib import Path

from enrichlabs.config.stores import database

SECRET_KEY = "of a benchmark"  # noqa: S105
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "loadtest.bench.bare.urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "loadtest.bench.bare",
]
MIDDLEWARE: list[str] = []
USE_TZ = True
DATABASES = {"default": database("", Path(os.environ["BARE_FOLDER"]))}
REDIS_URL = os.environ["REDIS_URL"]
