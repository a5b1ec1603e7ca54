"""The bare project behind a gunicorn with the options of ours."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enrichlabs import gunicorn
from harness.ports import free_port
from harness.waiting import wait_for
from loadtest.bench.service import listens, running

OPTIONS = [
    "--worker-class=gthread",  # gunicorn's own, which most would take
    f"--workers={gunicorn.workers}",
    f"--threads={gunicorn.threads}",
    f"--worker-connections={gunicorn.worker_connections}",
    f"--keep-alive={gunicorn.keepalive}",
    f"--graceful-timeout={gunicorn.graceful_timeout}",
    "--no-control-socket",
]


@contextmanager
def bare(folder: Path, redis_socket: Path) -> Iterator[int]:
    """Run it on an empty SQLite in `folder`; gives its port."""
    folder.mkdir()
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "BARE_FOLDER": str(folder),
        "REDIS_URL": f"unix://{redis_socket}",
        "DJANGO_SETTINGS_MODULE": "bench.bare.settings",
    }
    migrate = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--verbosity=0"]
    subprocess.run(migrate, env=variables, check=True)
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        *OPTIONS,
        f"--bind=127.0.0.1:{port}",
        "bench.bare.wsgi",
    ]
    with running(command, variables, folder / "gunicorn.log"):
        wait_for(lambda: listens(port), "gunicorn to listen")
        yield port
