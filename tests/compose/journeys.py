"""Journeys through a service in containers, from inside its network.

    python journeys.py [STEP [ARGUMENTS]]

Runs all journeys, or one step for script/compose-test: `post VENDOR COUNT` prints ids; `started
ID...`, `complete ID...`, `queued VENDOR`, `workers COUNT` and `key_needed` wait. Sends the API key
in the variable API_KEY, if that is set. Uses only the standard library, because the service's image
contains no tests and no tools.
"""

import json
import os
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlencode

API, WEBHOOK = "api:8000", "webhook:8000"
API_KEY = os.environ.get("API_KEY", "")
DEADLINE_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 0.2


def ask(path, body=None, *, method=None, at=API, key=API_KEY):
    """Return status, content type and body of the response; JSON is parsed."""
    connection = HTTPConnection(at, timeout=15)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key and at == API:
        headers["Authorization"] = f"Bearer {key}"
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    connection.request(method or ("GET" if body is None else "POST"), path, data, headers)
    response = connection.getresponse()
    kind, text = response.headers.get_content_type(), response.read().decode()
    connection.close()
    return response.status, kind, json.loads(text) if kind.endswith("json") and text else text


def wait_for(condition, what):
    """Return the first true result of `condition`."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not (answer := evaluate(condition)):
        if time.monotonic() > end:
            sys.exit(f"Waited {DEADLINE_SECONDS:.0f} s for {what}.")
        time.sleep(CHECK_INTERVAL_SECONDS)
    return answer


def evaluate(condition):
    try:
        return condition()
    except OSError:
        return None


def expect(got, wanted, what):
    if got != wanted:
        sys.exit(f"{what}: wanted {wanted!r}, got {got!r}.")


def show(job):
    status, _, answer = ask(f"/jobs/{job}")
    expect(status, 200, f"job {job}")
    return answer


def post_one(vendor):
    status, _, answer = ask("/jobs", {"vendor": vendor, "name": "John Doe"})
    expect(status, 202, f"a job for {vendor}")
    return answer["request_id"]


def completed(job):
    """Return the job once it is complete. Any other final status is a failure."""

    def ended():
        answer = show(job)
        return answer if answer["status"] in ("complete", "failed", "cancelled") else None

    answer = wait_for(ended, f"job {job} to end")
    expect(answer["status"], "complete", f"job {job} ({answer.get('error')})")
    return answer


def ready():
    wait_for(
        lambda: ask("/readyz")[0] == 200 and ask("/readyz", at=WEBHOOK)[0] == 200,
        "/readyz of api and webhook",
    )


def the_sync_job():
    job = completed(post_one("sync"))
    expect(
        job["result"], {"name": "John Doe", "info": "Processed sync"}, "the result of the sync job"
    )


def the_async_job():
    job = post_one("async")
    started(job)
    expect(show(job)["status"], "processing", "the async job before its callback")
    expect(
        completed(job)["result"],
        {"name": "John Doe", "info": "Processed async"},
        "the result of the async job",
    )


def a_cancel():
    job = post_one("async")
    # 409 during the call of the vendor. Then the job waits three seconds for its callback.
    wait_for(
        lambda: ask(f"/jobs/{job}/cancel", method="POST")[0] == 200, "the async job to be cancelled"
    )
    expect(show(job)["status"], "cancelled", "the cancelled job")


def a_listing():
    jobs = [completed(post_one("sync"))["request_id"] for _ in range(3)]
    status, _, answer = ask(
        f"/jobs?{urlencode({'status': 'complete', 'vendor': 'sync', 'limit': 3})}"
    )
    expect(status, 200, "the list of jobs")
    expect([job["request_id"] for job in answer["items"]], jobs[::-1], "the newest three jobs")


def errors_as_json():
    unknown = "01a2036a-3737-730f-8b75-355ab24a179b"
    for wanted, code, answer in [
        (400, "unknown_vendor", ask("/jobs", {"vendor": "nobody", "name": "John Doe"})),
        (400, "invalid_json", ask("/jobs", "{")),
        (404, "not_found", ask(f"/jobs/{unknown}")),
        (404, "not_found", ask("/nowhere")),
        (405, "method_not_allowed", ask("/jobs", method="DELETE")),
    ]:
        status, kind, problem = answer
        expect((status, kind), (wanted, "application/problem+json"), f"the answer {code}")
        expect(problem["code"], code, "the code of an error")


def the_console():
    status, kind, page = ask("/admin/login/")
    expect(
        (status, kind, "csrfmiddlewaretoken" in page),
        (200, "text/html", True),
        "the console's login",
    )


def the_endpoints():
    expect(ask("/jobs", at=WEBHOOK)[0], 404, "the API at the callback receiver")
    job = completed(post_one("sync"))["request_id"]
    status, _, _ = ask(f"/vendor-webhook/async/{job}", {"name": "Eve"}, at=WEBHOOK)
    expect(400 <= status < 500, True, f"a refusal of a callback without a token ({status})")
    expect(ask("/vendor-webhook/async/x", {}, at=API)[0], 404, "callbacks at the API")


def post(vendor, count):
    for _ in range(int(count)):
        sys.stdout.write(f"{post_one(vendor)}\n")


def started(*jobs):
    for job in jobs:
        wait_for(lambda job=job: show(job)["attempts"], f"job {job} to be started")


def complete(*jobs):
    for job in jobs:
        answer = completed(job)
        if answer["attempts"] > 1:
            sys.stdout.write(f"{job} took {answer['attempts']} attempts\n")


def queued(vendor):
    wait_for(
        lambda: "queued" in str(ask(f"/jobs?status=queued&vendor={vendor}")[2]),
        f"jobs of {vendor} in the queue",
    )


def workers(count):
    wait_for(
        lambda: f"\nenrichlabs_workers_alive {float(count)}\n" in ask("/metrics")[2],
        f"{count} workers to be alive",
    )


def key_needed():
    wait_for(lambda: ask("/jobs", key="")[0] == 401, "requests without an API key to be refused")


JOURNEYS = [
    ready,
    the_sync_job,
    the_async_job,
    a_cancel,
    a_listing,
    errors_as_json,
    the_console,
    the_endpoints,
]
STEPS = [ready, post, started, complete, queued, workers, key_needed]


def main(arguments):
    if arguments:
        steps = {step.__name__: step for step in STEPS}
        steps[arguments[0]](*arguments[1:])
        return
    for journey in JOURNEYS:
        began_at = time.monotonic()
        journey()
        sys.stdout.write(
            f"  {journey.__name__.replace('_', ' ')}: {time.monotonic() - began_at:.1f} s\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
