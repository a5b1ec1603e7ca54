"""Configuration of gunicorn: gunicorn -c python:enrichlabs.gunicorn -b HOST:PORT enrichlabs.wsgi"""

import os
import resource
import signal
import sys
from typing import Any

OTHER_FILES = 512  # connections to the store and Redis, one or more per thread
MAX_CONNECTIONS = 4096

# Many systems allow a process 1024 open files, and more on request. Under overload that is too few.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = min(_hard, 65536) if _hard != resource.RLIM_INFINITY else 65536
if _soft != resource.RLIM_INFINITY and _soft < _files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard))

worker_class = "enrichlabs.http.gunicorn_worker.HTTPWorker"
workers = 2
threads = 32
worker_connections = max(2 * threads, min(MAX_CONNECTIONS, _files - OTHER_FILES))
keepalive = 10
graceful_timeout = 10
loglevel = "warning"
logger_class = "enrichlabs.http.gunicorn_log.GunicornLogger"
# Headers must not change the path or the scheme of a request. By default gunicorn trusts any proxy
# on the same machine, which may pass on SCRIPT_NAME and the scheme from the client.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
# sendfile would bypass the deadline of a response.
sendfile = False
# For those who turn the access log on: no query strings, which hold callback tokens.
access_log_format = "%(h)s %(m)s %(U)s %(s)s %(B)s bytes %(M)s ms"
# The socket would be in the home folder, shared by all gunicorns of a user.
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:
    """Drop variables that this process does not need. Report in one line why the application can't
    be loaded.
    """
    # Imported here so that the master holds no code of ours, and SIGHUP loads new code.
    from django.conf import settings

    from enrichlabs.config import environment
    from enrichlabs.standalone import startup

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # gunicorn sets its own once all is loaded
    try:
        startup.load_settings()
        startup.refuse_old_store()
        for name in environment.unneeded(settings.SERVES):
            del os.environ[name]
    except startup.StartupError as error:
        if 1 < worker.age <= server.cfg.workers:
            # One of the initial workers reports the error. If two failed, gunicorn would end with a
            # traceback of its own.
            signal.pause()
        startup.report(error)
        sys.exit(server.WORKER_BOOT_ERROR)  # gunicorn then exits
