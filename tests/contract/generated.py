"""A Python client that a public generator makes from the published schema, against the service."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from clients.scopes import Scope
from tests.contract.service import Service

NAME = "generated_client"
# It formats the code with ruff otherwise.
CONFIGURATION = "post_hooks: []\n"


def faults(found: Service) -> list[str]:
    """Return what does not work with a generated client."""
    generate(found)
    sys.path.insert(0, str(found.folder))
    try:
        missing = operations(found.schema()) - {each.stem for each in modules(found)}
        if missing:
            return [f"The generator left out {', '.join(sorted(missing))}."]
        use(found, found.create_key("generated", tuple(Scope)))
    except AssertionError as error:
        return [f"The generated client: {error}"]
    finally:
        sys.path.remove(str(found.folder))
    return []


def generate(found: Service) -> None:
    schema, configuration = found.folder / "published.json", found.folder / "generator.yaml"
    schema.write_text(json.dumps(found.schema()))
    configuration.write_text(CONFIGURATION)
    command = [
        *(Path(sys.executable).with_name("openapi-python-client"), "generate"),
        *("--path", schema, "--config", configuration),
        *("--output-path", found.folder / NAME, "--meta", "none"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def operations(schema: dict[str, Any]) -> set[str]:
    paths = schema["paths"].values()
    return {operation["operationId"] for path in paths for operation in path.values()}


def modules(found: Service) -> list[Path]:
    return list((found.folder / NAME / "api").glob("*/*.py"))


def use(found: Service, key: str) -> None:
    """Post and get jobs and a batch, as the generator's documentation has it."""
    models = importlib.import_module(f"{NAME}.models")
    client = importlib.import_module(f"{NAME}.client").AuthenticatedClient(found.url, key)
    job = models.JobInput("sync", "John Doe", models.JobOptions(reference="order-1"))
    job["email"] = "john@example.org"
    answer = operation("jobs.post_job").sync_detailed(
        client=client, body=job, idempotency_key="order-1"
    )
    expect(answer.status_code, 202)
    expect(answer.headers["location"], f"/jobs/{answer.parsed.request_id}")
    shown = operation("jobs.show_job").sync(
        answer.parsed.request_id, client=client, prefer="wait=20"
    )
    expect((shown.status, shown.vendor, shown.reference), ("complete", "sync", "order-1"))
    waited = operation("jobs.post_job").sync_detailed(client=client, body=job, prefer="wait=20")
    expect((waited.status_code, waited.parsed.status), (200, "complete"))
    page = operation("jobs.list_jobs").sync(client=client, limit=1)
    expect([each.request_id for each in page.items], [waited.parsed.request_id])
    refused = operation("jobs.post_job").sync(client=client, body=models.JobInput("nosuch"))
    expect((refused.status, refused.code), (400, "unknown_vendor"))
    use_batches(client, models)


def use_batches(client: Any, models: ModuleType) -> None:
    named, unnamed = models.BatchItem(name="John Doe"), models.BatchItem()
    body = models.BatchPosted([named, unnamed], vendor="sync")
    accepted = operation("batches.post_batch").sync(client=client, body=body)
    expect((accepted.received, accepted.accepted, accepted.refused), (2, 1, 1))
    expect([each.index for each in accepted.refusals], [1])
    show = operation("batches.show_batch").sync
    batch = show(accepted.batch_id, client=client, prefer="wait=20")
    expect((batch.state, batch.counts.complete, batch.counts.refused), ("finished", 1, 1))
    results = operation("batches.read_results").sync_detailed(batch.batch_id, client=client)
    statuses = [json.loads(line)["status"] for line in results.content.splitlines()]
    expect(statuses, ["complete", "refused"])


def operation(name: str) -> Any:
    return importlib.import_module(f"{NAME}.api.{name}")


def expect(value: object, expected: object) -> None:
    if value != expected:
        raise AssertionError(f"expected {expected!r}, not {value!r}")
