"""Points the settings at a data folder of the tests' own; loaded as a plugin, because settings are read before conftest.py."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

DATA = Path(tempfile.mkdtemp(prefix="enrichlabs-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)

for name in ("REDIS_URL", "PUBLIC_URL", "CALLBACK_SECRETS", "ENRICHLABS_VENDORS", "LOG_FORMAT"):
    os.environ.pop(name, None)
os.environ.update(
    ENRICHLABS_DATA=str(DATA),
    ALLOWED_HOSTS="*",
    SERVES="api,admin,webhooks,mock",
    ADAPTERS_DIR=str(Path(__file__).parent / "adapters"),
)
