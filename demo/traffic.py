"""Posts jobs to the demo's service, as its clients would."""

import itertools
import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import Any

HOST = "127.0.0.1"
READY_SECONDS = 60.0
CHECK_SECONDS = 0.2
TIMEOUT_SECONDS = 10.0
BATCH_ITEMS = 12
# Jobs a second, by vendor.
RATES = {
    "people": 0.27,
    "companies": 0.2,
    "addresses": 0.15,
    "emails": 0.11,
    "phones": 0.06,
    "registry": 0.04,
    "credit": 0.03,
    "sanctions": 0.05,
    "vat": 0.02,
}
NAMES = ("Ada Brandt", "Kofi Garcia", "Hana Ito", "Mateo Castro", "Elif Kaya", "Goran Fischer")


class Traffic:
    """What three clients post, each with its own API key."""

    def __init__(self, port: int, keys: dict[str, str]) -> None:
        self.rates = RATES
        self._port = port
        self._keys = keys

    def wait_until_ready(self, server: "subprocess.Popen[bytes]") -> bool:
        """Return whether the service became ready."""
        end = time.monotonic() + READY_SECONDS
        while server.poll() is None and time.monotonic() < end:
            with suppress(OSError, HTTPException):
                if self._ask("GET", "/readyz")[0] == HTTPStatus.OK:
                    return True
            time.sleep(CHECK_SECONDS)
        return False

    def start(self) -> None:
        """Post a batch for each client, and then jobs, from a thread of its own."""
        Thread(target=self._run, name="traffic", daemon=True).start()

    def _run(self) -> None:
        for client in self._keys:
            self._post("/batches", self._batch(client), client)
        for vendor, seconds in self._arrivals():
            time.sleep(seconds)
            [client] = random.choices(list(self._keys), [0.5, 0.35, 0.15])
            self._post("/jobs", {"vendor": vendor, **self._person()}, client)

    def _arrivals(self) -> Iterator[tuple[str, float]]:
        """Yield the vendor of the next job, and how long until it comes."""
        total = sum(self.rates.values())
        while True:
            [vendor] = random.choices(list(self.rates), list(self.rates.values()))
            yield vendor, random.expovariate(total)

    def _batch(self, client: str) -> dict[str, Any]:
        vendors = itertools.cycle(("people", "companies", "emails"))
        items = [{"vendor": next(vendors), **self._person()} for _ in range(BATCH_ITEMS)]
        return {"jobs": items, "reference": f"list of {client}"}

    def _person(self) -> dict[str, Any]:
        return {"name": random.choice(NAMES), "city": "Lisbon"}

    def _post(self, path: str, body: dict[str, Any], client: str) -> None:
        # A service that is busy or away loses this job, and gets the next.
        with suppress(OSError, HTTPException):
            self._ask("POST", path, body, self._keys[client])

    def _ask(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        with closing(HTTPConnection(HOST, self._port, timeout=TIMEOUT_SECONDS)) as connection:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, response.read()
