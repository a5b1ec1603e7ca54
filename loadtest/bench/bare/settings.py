"""Settings of the bare project: no middleware, and a SQLite of its own that is opened as ours is."""

import os
from pathlib import Path

from enrichlabs.config.stores import database

SECRET_KEY = "of a benchmark"  # noqa: S105
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "bench.bare.urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "bench.bare",
]
MIDDLEWARE: list[str] = []
USE_TZ = True
DATABASES = {"default": database("", Path(os.environ["BARE_FOLDER"]))}
REDIS_URL = os.environ["REDIS_URL"]
