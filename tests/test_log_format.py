"""With LOG_FORMAT=json, every line of every process is a JSON object."""

import json
import os
import signal
from pathlib import Path

from harness.ports import free_port
from harness.raw import ask
from harness.running import Server
from harness.waiting import wait_for


def test_the_whole_service_logs_json(tmp_path: Path) -> None:
    logging = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    server = Server(tmp_path / "data", PORT=free_port(), MOCK_PORT=free_port(), **logging)
    try:
        server.wait_until_ready()
        for request in (b"GET /nowhere", b"POST /admin/login/", b"nonsense \xff"):
            ask(server.port, request + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        (worker,) = server.children("run_worker")
        (valkey,) = server.children("valkey")
        for pid, name in ((worker, "worker"), (valkey, "embedded Valkey")):
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda name=name: f"The {name} ended by SIGKILL" in server.output, "a restart")
        wait_for(lambda: server.get("/readyz")[0] == 200, "the service to be ready", seconds=40)
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.output.splitlines()]
    finally:
        server.kill()
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    loggers = {line["logger"] for line in lines}
    assert {
        "enrichlabs.standalone.welcome",
        "jobs.worker.supervisor",
        "gunicorn.error",
        "django.request",
        "valkey",
        "jobs.worker.worker",
    } <= loggers
    assert (tmp_path / "data/secrets/admin_password").read_text() not in server.output
