"""docker-compose.yml, as far as it can be checked without an engine (see script/compose-test)."""

import re
import subprocess

import pytest
import yaml

from enrichlabs.standalone.default_secrets import DEFAULT_PASSWORD, DEFAULT_PREFIX
from tests.conftest import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
DEFAULTS = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT))


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined_and_limited(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(service[limit] for limit in ("cpus", "mem_limit", "pids_limit"))
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])


def test_every_long_running_service_has_a_health_check():
    # That of the image is for those that serve HTTP.
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    silent = [
        name
        for name, each in SERVICES.items()
        if "command" in each and "test" not in each["healthcheck"]
    ]
    assert silent == ["migrate"]
    assert SERVICES["migrate"]["restart"] == "no"


def test_nothing_is_used_that_docker_compose_1_29_ignores_or_refuses():
    for service in SERVICES.values():
        assert not {"deploy", "develop", "configs", "secrets"} & set(service)
        assert "start_interval" not in service.get("healthcheck", {})
    assert not re.search(r"\$\{[^}]*\$\{", TEXT)  # a default within a default


def test_default_secrets_are_refused_by_a_public_service():
    secrets = {
        name: default for name, default in DEFAULTS.items() if default.startswith(DEFAULT_PREFIX)
    }
    assert set(secrets) == {"SECRET_KEY", "CALLBACK_SECRETS", "ADMIN_PASSWORD"}
    assert secrets["ADMIN_PASSWORD"] == DEFAULT_PASSWORD


def test_only_the_api_allows_anonymous_access_and_only_this_machine_reaches_it():
    allow = {
        name: each["environment"]["ALLOW_ANONYMOUS"]
        for name, each in SERVICES.items()
        if "ALLOW_ANONYMOUS" in each.get("environment", {})
    }
    # migrate, so that a public service does not start.
    assert allow == dict.fromkeys(("migrate", "api"), "${ALLOW_ANONYMOUS:-1}")
    ports = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert ports == {"api": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_the_documentation_names_every_variable():
    page = (ROOT / "docs" / "containers.md").read_text()
    assert [name for name in DEFAULTS if f"`{name}`" not in page] == []


def test_the_script_is_valid_bash():
    subprocess.run(["bash", "-n", ROOT / "script" / "compose-test"], check=True)
