"""Django settings for the peers, with SQLite opened as ours is."""

import os
from pathlib import Path

from enrichlabs.config.stores import database

SECRET_KEY = "only for the benchmark"  # noqa: S105
DATABASES = {"default": database("", Path(os.environ["ENRICHLABS_DATA"]))}
INSTALLED_APPS = ["loadtest.bench.peers"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
