"""Points the settings at a temporary data folder. Loaded as a pytest plugin, because settings are
read before conftest.py.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from enrichlabs.config.environment import SETTINGS_VARIABLES

DATA = Path(tempfile.mkdtemp(prefix="enrichlabs-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)

# Ignore the settings of the shell, but for DATABASE_URL, which selects the store of the tests.
for name in SETTINGS_VARIABLES - {"DATABASE_URL"}:
    os.environ.pop(name, None)
os.environ.update(
    ENRICHLABS_DATA=str(DATA),
    ALLOWED_HOSTS="*",
    ALLOW_ANONYMOUS="1",
    SERVES="api,admin,webhooks,mock",
    ADAPTERS_DIR=str(Path(__file__).parents[1] / "tests/adapters"),
)
