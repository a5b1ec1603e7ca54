"""The Kubernetes example, checked against the schemas of Kubernetes and against what the project
reads, runs and serves.
"""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.test import Client, override_settings

from enrichlabs import gunicorn
from enrichlabs.urls import routes_of
from jobs.worker.worker import FINISH_SECONDS
from tests import manifests
from tests.manifests import (
    AUTOSCALING,
    BASE,
    DEPLOY,
    WORKLOADS,
    containers,
    environment,
    generated,
    main_container,
    of_kind,
)
from vendors.loading import toml
from vendors.models import Vendor

ROOT = Path(__file__).parent.parent
VERSIONS = ("1.34", "1.37")  # the oldest supported one, and the newest
COMMAND = re.compile(r"python (-m|manage\.py) ([\w.]+)((?: --[\w=-]+)*)")
SPARE_SECONDS = 5


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid_and_have_no_unknown_fields(version):
    for resource in manifests.resources(BASE):
        kubernetes_validate.validate(resource, version, strict=True)


def test_the_autoscaler_made_by_keda_is_valid_and_scales_the_workers():
    (scaled,) = of_kind("ScaledObject")
    spec = scaled["spec"]
    assert set(spec) == {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "advanced",
        "triggers",
    }
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "worker"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", **spec["scaleTargetRef"]},
            "minReplicas": spec["minReplicaCount"],
            "maxReplicas": spec["maxReplicaCount"],
            **spec["advanced"]["horizontalPodAutoscalerConfig"],
        },
    }
    kubernetes_validate.validate(autoscaler, VERSIONS[-1], strict=True)
    assert [
        deployment
        for deployment in of_kind("Deployment")
        if deployment["metadata"]["name"] == spec["scaleTargetRef"]["name"]
    ]
    assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    assert all(isinstance(value, str) for value in spec["triggers"][0]["metadata"].values())


@pytest.mark.django_db
def test_the_autoscaler_queries_metrics_that_are_served_to_prometheus(redis_client, make_vendor):
    make_vendor("acme")
    (scaled,) = of_kind("ScaledObject")
    scraped = {
        deployment["metadata"]["name"]: notes
        for deployment in of_kind("Deployment")
        if (notes := deployment["spec"]["template"]["metadata"].get("annotations"))
    }
    assert list(scraped) == ["metrics"]
    container, notes = main_container("metrics"), scraped["metrics"]
    assert environment(container)["SERVES"] == "metrics"
    assert notes["prometheus.io/port"] == str(container["ports"][0]["containerPort"])
    shown = set(
        re.findall(r"enrichlabs_\w+", Client().get(notes["prometheus.io/path"]).content.decode())
    )
    asked = set(re.findall(r"enrichlabs_\w+", scaled["spec"]["triggers"][0]["metadata"]["query"]))
    assert asked
    assert asked <= shown


def test_the_project_reads_every_variable():
    read = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    vendors = toml.parse(generated()["vendors"]["vendors.toml"]).vendors
    named = {
        entry.fields[key]
        for entry in vendors
        for key in ("api_key_env", "webhook_secret_env")
        if key in entry.fields
    }
    assert set(generated()["vendor-keys"]) == named
    for _, container in containers():
        variables = environment(container)
        inserted = set(re.findall(r"\$\((\w+)\)", " ".join(variables.values())))
        assert set(variables) - inserted <= read | named, container["name"]
        assert inserted <= set(variables), container["name"]


def test_pods_do_not_start_with_empty_secrets():
    assert {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "CALLBACK_SECRETS"} == set(
        generated()["secrets"]
    )
    assert {"ADMIN_PASSWORD"} == set(generated()["first-admin"])
    assert not any(
        value
        for name in ("secrets", "first-admin", "vendor-keys")
        for value in generated()[name].values()
    )
    assert {"secrets.env", "admin.env", "vendors.env"} <= set(
        (DEPLOY / ".gitignore").read_text().splitlines()
    )
    for pod, container in containers():
        # A missing secret would be generated in the data folder, but there is none.
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} <= {
            "/tmp",
            "/etc/enrichlabs",
        }
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {
            "emptyDir",
            "configMap",
        }


def test_a_container_has_only_the_secrets_it_needs():
    has = {container["name"]: set(environment(container)) for _, container in containers()}
    vendors = set(generated()["vendor-keys"])
    assert all(name.startswith(settings.VENDOR_VARIABLE_PREFIXES) for name in vendors)
    assert {name for name, variables in has.items() if vendors & variables} == {
        "api",
        "webhook",
        "worker",
    }
    assert {name for name, variables in has.items() if "ADMIN_PASSWORD" in variables} == {"migrate"}
    # Vendors' variables are for processes that call vendors, receive their callbacks, or show them
    # in the console.
    assert "admin" in environment(main_container("api"))["SERVES"].split(",")


def test_containers_run_the_image_as_its_user_with_existing_commands():
    image = (ROOT / "Dockerfile").read_text()
    assert [entry["name"] for entry in manifests.kustomization(BASE)["images"]] == ["enrichlabs"]
    for pod, container in containers():
        assert container["image"] == "enrichlabs"
        assert f"USER {pod['securityContext']['runAsUser']}\n" in image
        assert all(
            f"EXPOSE {port['containerPort']}\n" in image for port in container.get("ports", [])
        )
        probes = [
            container[name]["exec"]["command"]
            for name in container
            if "exec" in (container[name] or {}) and "Probe" in name
        ]
        for command in [*probes, *([container["args"]] if "args" in container else [])]:
            runs(" ".join(command))


def runs(command: str) -> None:
    """Check that what Python runs in the command exists and accepts its options."""
    found = COMMAND.findall(command)
    assert found, command
    for how, name, options in found:
        if how == "-m":
            assert importlib.util.find_spec(name), command
        else:
            loaded = load_command_class(get_commands()[name], name)
            loaded.create_parser("manage.py", name).parse_args(options.split())


def test_probes_get_200_with_the_host_that_they_send():
    names = generated()["settings"]["ALLOWED_HOSTS"].split(",")
    probes = 0
    for _, container in containers():
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            if request := container.get(name, {}).get("httpGet"):
                headers = {header["name"]: header["value"] for header in request["httpHeaders"]}
                assert request["port"] in [port["name"] for port in container["ports"]]
                with override_settings(ALLOWED_HOSTS=names):
                    assert Client().get(request["path"], headers=headers).status_code == 200
                probes += 1
    assert probes == 9


def test_vendors_can_reach_only_the_callback_endpoint():
    (ingress,) = of_kind("Ingress")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    (door,) = routes_of(["webhooks"])
    assert path["path"] == f"/{door.pattern}"
    assert path["backend"]["service"]["name"] == "webhook"
    assert environment(main_container("webhook"))["SERVES"] == "webhooks"
    assert environment(main_container("api"))["SERVES"] == "api,admin"
    assert generated()["settings"]["PUBLIC_URL"] == f"https://{rule['host']}"
    assert rule["host"] in generated()["settings"]["ALLOWED_HOSTS"].split(",")


def test_no_pod_lets_anybody_use_the_api_or_read_metrics():
    assert not [c["name"] for _, c in containers() if "ALLOW_ANONYMOUS" in environment(c)]
    doors = {c["name"]: environment(c).get("SERVES", "").split(",") for _, c in containers()}
    assert [name for name, serves in doors.items() if "metrics" in serves] == ["metrics"]
    assert doors["metrics"] == ["metrics"]
    (policy,) = [
        each for each in of_kind("NetworkPolicy") if each["metadata"]["name"].endswith("-metrics")
    ]
    (source,) = policy["spec"]["ingress"][0]["from"]
    assert source == {"namespaceSelector": {"matchLabels": {"enrichlabs/metrics": "true"}}}


def test_selectors_match_their_pods():
    labels = {
        r["metadata"]["name"]: r["spec"]["template"]["metadata"]["labels"]
        for r in of_kind(*WORKLOADS)
    }
    for deployment in of_kind("Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        spread = [
            one["labelSelector"]["matchLabels"]
            for one in spec["template"]["spec"].get("topologySpreadConstraints", [])
        ]
        assert all(
            selected(selector, labels) == [name]
            for selector in [spec["selector"]["matchLabels"], *spread]
        )
    for service in of_kind("Service"):
        assert selected(service["spec"]["selector"], labels) == [service["metadata"]["name"]]
        ports = [port["name"] for port in main_container(service["metadata"]["name"])["ports"]]
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ports
    for budget in of_kind("PodDisruptionBudget"):
        assert selected(budget["spec"]["selector"]["matchLabels"], labels) == [
            budget["metadata"]["name"]
        ]
    for policy in of_kind("NetworkPolicy"):
        names = selected(policy["spec"]["podSelector"]["matchLabels"], labels)
        assert names == (
            sorted(labels)
            if policy["metadata"]["name"] == "deny-all"
            else [policy["metadata"]["name"].split("-")[-1]]
        )


def selected(selector: dict[str, str], labels: dict[str, dict[str, str]]) -> list[str]:
    return sorted(name for name, has in labels.items() if selector.items() <= has.items())


def test_pods_have_time_to_shut_down():
    for name in ("api", "webhook"):
        (pod,) = [manifests.pod(d) for d in of_kind("Deployment") if d["metadata"]["name"] == name]
        drain = main_container(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert (
            pod["terminationGracePeriodSeconds"]
            >= drain + gunicorn.graceful_timeout + SPARE_SECONDS
        )
    (pod,) = [manifests.pod(d) for d in of_kind("Deployment") if d["metadata"]["name"] == "worker"]
    grace = int(re.search(r"--grace-seconds=(\d+)", " ".join(main_container("worker")["args"]))[1])
    # A call that does not end within the grace period is repeated by another worker.
    assert grace > Vendor._meta.get_field("timeout_seconds").default
    assert pod["terminationGracePeriodSeconds"] >= grace + FINISH_SECONDS + SPARE_SECONDS


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl, for its kustomize")
def test_kustomize_renders_what_the_other_tests_read(tmp_path):
    folder = tmp_path / "deploy"
    shutil.copytree(DEPLOY, folder)
    for name in ("secrets.env", "admin.env", "vendors.env"):
        shutil.copy(BASE / f"{name}.example", folder / "base" / name)
    made = subprocess.run(
        ["kubectl", "kustomize", folder / "autoscaling"], capture_output=True, text=True, check=True
    ).stdout
    made = list(yaml.safe_load_all(made))
    for resource in made:
        if resource["kind"] != "ScaledObject":
            kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)
    assert len(made) == len(manifests.resources(AUTOSCALING)) + len(generated())
    (worker,) = [r for r in made if r["kind"] == "Deployment" and r["metadata"]["name"] == "worker"]
    assert "replicas" not in worker["spec"]
