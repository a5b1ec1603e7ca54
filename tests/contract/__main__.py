"""Checks the API against its schema with thousands of generated requests, valid and invalid, and
with a client that is generated from the schema.

Exits with 1 if an answer does not match the schema or an answer is a 5xx, and also if too few
requests were sent for that to mean anything.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from clients.scopes import Scope
from harness.running import ROOT
from tests.contract import generated, service
from tests.contract.schemas import narrowed
from tests.contract.service import Service

SEED = 13


@dataclass(frozen=True)
class Run:
    """One caller, and what it must have seen."""

    name: str
    examples: int  # per operation
    scopes: tuple[Scope, ...] = ()
    limits: str = ""
    statuses: frozenset[int] = frozenset()
    as_lines: bool = False  # only posts batches, as lines


ALL = tuple(Scope)
RUNS = (
    Run("every scope", 300, ALL, "", frozenset({200, 202, 400, 401, 404, 405, 409, 415, 422, 429})),
    Run("lines", 60, ALL, "", frozenset({202, 401}), as_lines=True),
    Run("reading alone", 60, (Scope.READ,), "", frozenset({200, 401, 403, 404, 405})),
    Run("a request limit", 30, ALL, "20/s, 200/min", frozenset({200, 202, 401, 429})),
    Run("no key", 30, (), "", frozenset({401})),
)
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# Whatever is sent as lines is accepted: what is no job becomes a refused item.
ONLY_LINES = ("--include-operation-id=post_batch", "--mode=positive")
MAX_SHOWN = 10_000  # characters of its output
MIN_REQUESTS = 5000
# With --fast, and phases whose number of requests does not depend on the examples.
FAST_MIN_REQUESTS, FAST_EXAMPLES, FAST_PHASES = 1500, 50, "examples,coverage"


def main() -> int:
    options = argparse.ArgumentParser(prog="script/contract", description=__doc__)
    options.add_argument("--fast", action="store_true", help="fewer requests, within two minutes")
    options.add_argument("--seed", type=int, default=SEED)
    given = options.parse_args()
    enough = FAST_MIN_REQUESTS if given.fast else MIN_REQUESTS
    faults, requests = [], 0
    with service.running() as found:
        faults += generated.faults(found)
        for run in RUNS:
            sent = check(found, run, [f"--seed={given.seed}", *amount(run, given.fast)])
            requests += sent.total()
            faults += sent.faults
    if requests < enough:
        faults.append(f"Only {requests} requests were sent; expected {enough}.")
    say(f"{requests} requests, seed {given.seed}.", *faults)
    return 1 if faults else 0


def amount(run: Run, fast: bool) -> list[str]:
    """Return the options that say how many requests are generated."""
    if not fast:
        return [f"--max-examples={run.examples}"]
    if run is RUNS[0]:
        return [f"--max-examples={FAST_EXAMPLES}"]
    return [f"--phases={FAST_PHASES}"]


class Sent(Counter[tuple[str, int]]):
    """The answers of a run by operation and status."""

    faults: list[str]


def check(found: Service, run: Run, options: Sequence[str]) -> Sent:
    client = run.name.replace(" ", "-")
    cursor = found.cursor(found.create_key(client, ALL))
    key = found.create_key(client, run.scopes) if run.scopes else ""
    found.limit_requests(client, run.limits)
    schema = found.folder / "schema.json"
    schema.write_text(json.dumps(narrowed(found.schema(), cursor, as_lines=run.as_lines)))
    report = found.folder / "report.ndjson"
    command = [
        *(Path(sys.executable).with_name("st"), f"--config-file={CONFIGURATION}", "run", schema),
        *(f"--url={found.url}", "--checks=all", *options),
        *("--continue-on-failure", "--generation-database=none", "--no-color"),
        *("--report=ndjson", f"--report-ndjson-path={report}"),
        *([f"--header=Authorization: Bearer {key}"] if key else []),
        *(ONLY_LINES if run.as_lines else ()),
    ]
    started = time.monotonic()
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.contract.hooks",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        command, cwd=found.folder, env=environment, capture_output=True, text=True, check=False
    )
    sent = Sent(answers(report))
    sent.faults = [f"{run.name}: {fault}" for fault in faults_of(sent, run, done)]
    say(f"{run.name}: {sent.total()} requests in {time.monotonic() - started:.0f} s")
    for operation in sorted({operation for operation, _ in sent}):
        counts = {status: n for (name, status), n in sorted(sent.items()) if name == operation}
        say(f"  {operation}: {', '.join(f'{n} × {status}' for status, n in counts.items())}")
    return sent


def answers(report: Path) -> Iterator[tuple[str, int]]:
    """Return operation and status of every request that was answered."""
    for line in report.open():
        event = json.loads(line)
        recorder = event.get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            if response := interaction.get("response"):
                asked = interaction["request"]
                yield shortened(asked["method"], asked["uri"]), response["status_code"]


def shortened(method: str, url: str) -> str:
    """Return the operation: method and path, without the ids in it."""
    route, *rest = urlsplit(url).path.strip("/").split("/")
    if method not in ("GET", "POST"):
        return "other methods"
    if route == "vendor-webhook":
        return f"{method} /vendor-webhook/..."
    return "/".join([f"{method} ", route, *("ID" for _ in rest[:1]), *rest[1:]])


def faults_of(sent: Sent, run: Run, done: "subprocess.CompletedProcess[str]") -> Iterator[str]:
    if done.returncode:
        text = (done.stdout + done.stderr)[-MAX_SHOWN:]
        yield f"schemathesis exited with {done.returncode}:\n{text}"
    seen = {status for _, status in sent}
    if missing := run.statuses - seen:
        yield f"No request was answered with {', '.join(map(str, sorted(missing)))}."
    if errors := sorted(status for status in seen if status >= 500):
        yield f"Requests were answered with {errors}."


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
