"""How gunicorn serves us: gunicorn -c python:enrichlabs.gunicorn -b HOST:PORT enrichlabs.wsgi"""

import os
import resource
import signal
import sys
from typing import Any

FILES_OF_OUR_OWN = 512  # stores and Redis, one or more a thread
MAX_CONNECTIONS = 4096

# Many systems let a process open 1024 files and more if it asks: too few for the connections of an
# overload.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = min(_hard, 65536) if _hard != resource.RLIM_INFINITY else 65536
if _soft != resource.RLIM_INFINITY and _soft < _files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard))

worker_class = "enrichlabs.http.gunicorn_worker.HTTPWorker"
workers = 2
threads = 32
worker_connections = max(2 * threads, min(MAX_CONNECTIONS, _files - FILES_OF_OUR_OWN))
keepalive = 10
graceful_timeout = 10
loglevel = "warning"
logger_class = "enrichlabs.http.gunicorn_log.GunicornLogger"
# The path that came in is the path that is served, and no header makes a request another one.
# gunicorn would take SCRIPT_NAME, and the scheme, from whatever proxy runs on the same machine,
# which has them from the client.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
# Files go the way of all answers, which has a deadline.
sendfile = False
# If somebody asks for a log of requests: without their queries, which hold the tokens of callbacks.
access_log_format = "%(h)s %(m)s %(U)s %(s)s %(B)s bytes %(M)s ms"
# It would lie in the home folder, one for all the gunicorns of a user.
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:
    """Forget what this process has no use for, and say in one line what keeps the application from
    being loaded.
    """
    # Not before: the master keeps no code of ours, so that SIGHUP loads what is new.
    from django.conf import settings

    from enrichlabs.config import environment
    from enrichlabs.standalone import preflight

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # gunicorn sets its own when all is loaded
    try:
        preflight.load_settings()
        for name in environment.unneeded(settings.SERVES):
            del os.environ[name]
    except preflight.Obstacle as obstacle:
        if 1 < worker.age <= server.cfg.workers:
            # Of those that start together one says it. Two that fail would have gunicorn end with a
            # traceback of its own.
            signal.pause()
        preflight.tell(obstacle)
        sys.exit(server.WORKER_BOOT_ERROR)  # gunicorn then ends
