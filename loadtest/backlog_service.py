"""A service whose only vendor lets one job an hour start, so that all others wait."""

import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from harness.running import processes_of
from loadtest.bench.usage import cpu_seconds
from loadtest.own_service import OwnService

PAGE = 5000
JOB = {"vendor": "slow", "name": "John Doe"}
STREAMS = ("enrich:{slow}:jobs", "enrich:{slow}:retries")
VENDOR = """
[vendors.slow]
adapter = "sync"
url = "{mocks}/sync"
rate_limits = "1/h"
max_queued = 100000000
"""


class Service(OwnService):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, VENDOR)
        self.http = HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ready(self) -> "Service":
        self.wait_until_ready()
        return self

    def post(self) -> float:
        """Return how many seconds a POST took."""
        since = time.perf_counter()
        self.http.request("POST", "/jobs", json.dumps(JOB), {"Content-Type": "application/json"})
        response = self.http.getresponse()
        response.read()
        if response.status != 202:
            sys.exit(f"POST /jobs returned {response.status}")
        return time.perf_counter() - since

    def processes(self, words: str) -> list[int]:
        return [pid for pid, command in processes_of(self.folder).items() if words in command]

    def entry_count(self) -> int:
        return sum(self.redis.xlen(key) for key in STREAMS)

    def entries(self) -> Iterator[str]:
        """Yield the job id of each entry."""
        for key in STREAMS:
            last = "0"
            while page := self.redis.xrange(key, f"({last}", count=PAGE):
                last = page[-1][0]
                yield from (fields["job"] for _, fields in page)

    def counter(self, name: str) -> int:
        """Return how often an event was counted, up to a second ago."""
        from jobs.tallies import read  # Django is set up only now

        counted = read.totals().get("slow")
        return counted.events[name] if counted else 0

    def worker_cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.processes("run_worker"))

    def used_memory(self) -> int:
        return int(self.redis.info("memory")["used_memory"])

    def mock_vendor_calls(self) -> list[dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self.mock_port, timeout=30)
        connection.request("GET", "/mock-vendors/ledger")
        return list(json.load(connection.getresponse())["arrivals"])
