"""Runs the bare project behind gunicorn, with the same options as ours."""

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
    "--worker-class=gthread",  # the one that most projects would choose
    f"--workers={gunicorn.workers}",
    f"--threads={gunicorn.threads}",
    f"--worker-connections={gunicorn.worker_connections}",
    f"--keep-alive={gunicorn.keepalive}",
    f"--graceful-timeout={gunicorn.graceful_timeout}",
    "--no-control-socket",
]
APPLICATION = "loadtest.bench.bare.wsgi"


@contextmanager
def bare(folder: Path, redis_socket: Path) -> Iterator[int]:
    """Run it on an empty SQLite in `folder`; yields its port."""
    folder.mkdir()
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "BARE_FOLDER": str(folder),
        "REDIS_URL": f"unix://{redis_socket}",
        "DJANGO_SETTINGS_MODULE": "loadtest.bench.bare.settings",
    }
    python_m = [sys.executable, "-m"]
    migrate = [*python_m, "django", "migrate", "--run-syncdb", "--verbosity=0"]
    subprocess.run(migrate, env=variables, check=True)
    serve = [*python_m, "gunicorn", *OPTIONS, f"--bind=127.0.0.1:{port}", APPLICATION]
    with running(serve, variables, folder / "gunicorn.log"):
        wait_for(lambda: listens(port), "gunicorn to listen")
        yield port
