"""Three teams get access to a service, and one loses it: through HTTP and manage.py alone."""

import json
import subprocess
import sys
import time
from http.client import HTTPConnection

import pytest

from harness.ports import free_port
from harness.running import ROOT, Server, environment
from harness.waiting import wait_for
from tests.conftest import store_url

TEAMS = ("billing", "sales", "search")
REQUESTS = 20  # enough to reach every process of the service


class Service(Server):
    def api_key(self, *arguments, ends=None):
        """Run manage.py api_key beside the service, and return what it prints. It ends the access
        with the key `ends`, which is used until then and refused a second later.
        """
        command = [sys.executable, "manage.py", "api_key", *arguments]
        variables = environment(self.folder, DATABASE_URL=store_url())
        with subprocess.Popen(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
        ) as process:
            while ends is not None and process.poll() is None:
                self.ask("GET", "/jobs", ends)  # so that every process knows the key
            printed = process.stdout.read().strip()
        assert process.returncode == 0
        if ends is not None:
            over_at = time.monotonic() + 1
            wait_for(lambda: time.monotonic() > over_at, "a second to pass")
            assert all(self.is_refused(ends) for _ in range(REQUESTS))
        return printed

    def ask(self, method, path, key="", body=None):
        """Return the status and the JSON object of the response."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            data = json.dumps(body) if body else None
            named = headers | ({"Content-Type": "application/json"} if body else {})
            connection.request(method, path, data, named)
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def post(self, key=""):
        status, answer = self.ask("POST", "/jobs", key, {"vendor": "sync", "name": "John Doe"})
        assert status == 202, answer
        return answer["request_id"]

    def listed(self, key):
        return [item["request_id"] for item in self.ask("GET", "/jobs", key)[1]["items"]]

    def is_refused(self, key):
        return self.ask("GET", "/jobs", key)[0] == 401


@pytest.fixture
def service(transactional_db, tmp_path):
    ports = {"PORT": free_port(), "MOCK_PORT": free_port()}
    service = Service(tmp_path / "data", **ports, DATABASE_URL=store_url())
    yield service.wait_until_ready()
    service.kill()


def test_three_teams_work_apart_until_one_loses_access(service):
    before = service.post()
    keys = {
        team: service.api_key(
            "create", "--client", team, "--new-client", "--name", "import", ends=ends
        )
        for team, ends in zip(TEAMS, ("", None, None), strict=True)  # "": without a key
    }
    jobs = {team: [service.post(key) for _ in range(2)] for team, key in keys.items()}

    for team, key in keys.items():
        assert service.listed(key) == jobs[team][::-1]
        for other in {before, *sum(jobs.values(), [])} - {*jobs[team]}:
            assert service.ask("GET", f"/jobs/{other}", key)[0] == 404
            assert service.ask("POST", f"/jobs/{other}/cancel", key)[0] == 404

    for job in sum(jobs.values(), []):
        key = next(key for team, key in keys.items() if job in jobs[team])
        wait_for(
            lambda job=job, key=key: (
                service.ask("GET", f"/jobs/{job}", key)[1]["status"] == "complete"
            ),
            "the jobs to complete",
        )

    lost, *kept = keys.values()
    listed = service.api_key("list")
    assert all(key[:12] in listed and key not in listed for key in keys.values())
    service.api_key("revoke", lost[:12], ends=lost)
    assert not any(service.is_refused(key) for key in kept)
    assert not any(key in service.output for key in keys.values())
