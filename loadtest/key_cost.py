"""What an API key and a request limit cost: CPU time of a request in one thread, without a server.

    python -m loadtest.key_cost [ROUNDS]

Requests without a key, with one, and with one whose client has request limits are sent in turn. The
last two lines are of the checks alone.
"""

import atexit
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from harness.environment import DATA

POSTS, SHOWS, CHECKS = 100, 200, 2000  # in a round
LIMITS = "90000/s, 100000/min"  # never reached
BODY = json.dumps({"vendor": "sync", "name": "John Doe"})

Act = Callable[[], Any]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    acts = _acts()
    for act, _ in acts.values():
        act()  # opens connections, and loads the script
    figures: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, (act, count) in acts.items():
            figures[name].append(_cpu_us(act, count))
    for name, found in figures.items():
        text = f"{name:32} {statistics.median(found):7.1f} us (best {min(found):.1f})\n"
        sys.stdout.write(text)


def _acts() -> dict[str, tuple[Act, int]]:
    """Return what to measure, and how often in a round."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "enrichlabs.settings"
    django.setup()
    from django.core.management import call_command
    from django.test import Client, RequestFactory

    from clients.directory import directory
    from harness.clients import bearer, make_client, make_key
    from harness.valkey import Valkey
    from jobs.api.access.authentication import authenticate
    from jobs.api.access.throttles import count_request
    from vendors.models import Vendor

    server = Valkey(DATA)
    server.start()
    atexit.register(server.kill)
    call_command("migrate", verbosity=0)
    Vendor.objects.create(slug="sync", adapter="sync", url="http://127.0.0.1:9/")
    client = Client()

    def post(headers: dict[str, str]) -> Act:
        return lambda: client.post("/jobs", BODY, "application/json", headers=headers)

    def show(headers: dict[str, str]) -> Act:
        path = post(headers)()["Location"]
        return lambda: client.get(path, headers=headers)

    # Anonymous requests end with the first key: what they would be is answered from memory.
    caller = directory.anonymous()
    make_client("limited", request_limits=LIMITS)
    free, limited = bearer(make_key("default")), bearer(make_key("limited"))
    directory.anonymous = lambda: caller  # type: ignore[method-assign]
    request = RequestFactory().get("/jobs", headers=limited)
    return {
        "POST without a key": (post({}), POSTS),
        "POST with a key": (post(free), POSTS),
        "POST with a key and limits": (post(limited), POSTS),
        "GET without a key": (show({}), SHOWS),
        "GET with a key": (show(free), SHOWS),
        "GET with a key and limits": (show(limited), SHOWS),
        "check of the key": (lambda: authenticate(request), CHECKS),
        "count of the request": (lambda: count_request(authenticate(request)), CHECKS),
    }


def _cpu_us(act: Act, count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        act()
    return (time.process_time() - started) / count * 1e6


if __name__ == "__main__":
    main()
