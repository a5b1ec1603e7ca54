"""docker-compose.yml, as far as it can be read without an engine; script/compose-test runs it."""

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


def test_every_service_that_stays_tells_of_its_health():
    assert (
        "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    )  # for those that serve HTTP: they run what the image runs
    silent = [
        name
        for name, each in SERVICES.items()
        if "command" in each and "test" not in each["healthcheck"]
    ]
    assert silent == ["migrate"]
    assert SERVICES["migrate"]["restart"] == "no"


def test_what_docker_compose_1_29_would_ignore_or_refuse_is_not_used():
    for service in SERVICES.values():
        assert not {"deploy", "develop", "configs", "secrets"} & set(service)
        assert "start_interval" not in service.get("healthcheck", {})
    assert not re.search(r"\$\{[^}]*\$\{", TEXT)  # a default within a default


def test_the_defaults_of_secrets_are_those_that_a_public_service_refuses():
    secrets = {
        name: default for name, default in DEFAULTS.items() if default.startswith(DEFAULT_PREFIX)
    }
    assert set(secrets) == {"SECRET_KEY", "CALLBACK_SECRETS", "ADMIN_PASSWORD"}
    assert secrets["ADMIN_PASSWORD"] == DEFAULT_PASSWORD


def test_the_page_names_every_variable():
    page = (ROOT / "docs" / "containers.md").read_text()
    assert [name for name in DEFAULTS if f"`{name}`" not in page] == []


def test_the_script_can_be_read():
    subprocess.run(["bash", "-n", ROOT / "script" / "compose-test"], check=True)
