"""Reads deploy/ as kustomize does, as far as deploy/ needs it: resources and generators."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parent.parent / "deploy"
BASE, AUTOSCALING = DEPLOY / "base", DEPLOY / "autoscaling"
WORKLOADS = ("Deployment", "Job")


def kustomization(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "kustomization.yaml").read_text())


@cache
def resources(folder: Path) -> list[dict[str, Any]]:
    """Return all resources of the folder's kustomization, including those of other folders."""
    found: list[dict[str, Any]] = []
    for name in kustomization(folder)["resources"]:
        path = folder / name
        found += (
            resources(path.resolve()) if path.is_dir() else yaml.safe_load_all(path.read_text())
        )
    return found


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [resource for resource in resources(AUTOSCALING) if resource["kind"] in kinds]


@cache
def generated() -> dict[str, dict[str, str]]:
    """Return the content of each generated ConfigMap and Secret. A file that the user has to create
    is read from its example.
    """
    found = {}
    for generator in ("configMapGenerator", "secretGenerator"):
        for entry in kustomization(BASE)[generator]:
            content = {name: (BASE / name).read_text() for name in entry.get("files", [])}
            for name in entry.get("envs", []):
                content |= variables(
                    BASE / (name if generator == "configMapGenerator" else f"{name}.example")
                )
            found[entry["name"]] = content
    return found


def variables(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each container with its pod."""
    for workload in of_kind(*WORKLOADS):
        for container in [*pod(workload).get("initContainers", []), *pod(workload)["containers"]]:
            yield pod(workload), container


def main_container(name: str) -> dict[str, Any]:
    return next(container for _, container in containers() if container["name"] == name)


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a container. Values that only the cluster knows are empty."""
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        found |= generated()[next(iter(source.values()))["name"]]
    return found | {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
