import json
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from vendors import registry
from vendors.models import Vendor

# About what is refused and why, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def words(text: str) -> list[str]:
    return text.split()


NO_ADAPTERS = words("""
    nope nope.Adapter vendors.base.Call vendors.limits.parse ..base.Adapter .Adapter
    venv.__main__.x this.Adapter adapters.Adapter tests.adapters.faulty.Sound
    adapters.faulty.Söund
""")
NO_HOSTS = words("""
    *.example a..b .a -a a-.b a%41 a.. ☃ 999.1.1.1 1.2.3 2852039166 [v1.a] a,b
    [fe80::1%25eth0] ex*mple
""")
METADATA = words("""
    169.254.169.254 169.254.0.1 [fe80::1] [fd00:ec2::254] [::ffff:169.254.169.254]
    0xa9.0xfe.0xa9.0xfe [64:ff9b::a9fe:a9fe] 100.100.100.200 0.0.0.0 [::] 255.255.255.255 224.0.0.1
""")
NOT_URLS = words("""
    acme.test ftp://a/ https:// http:///x //a/ javascript:1 http://[::1/ http://a:99999/ http://a:b/
    http://a\\b/
""")
URLS_WITH_BLANKS = ("http://a b/", "http://a/\nb", "http://a/b c")


def make(**fields: object) -> Vendor:
    return Vendor(**{"slug": "acme", "adapter": "sync", "url": "https://acme.test/", **fields})


def faults_of(vendor: Vendor) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        vendor.full_clean()
    return caught.value.message_dict


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"adapter": "async"},
        {"adapter": "vendors.adapters.sync.SyncAdapter"},
        {"adapter": "adapters.faulty.Sound"},
        {"url": "http://vendor-mocks:8001/mock-vendors/async"},
        {"url": "https://acme.example./"},
        {"url": "http://10.0.0.7/", "slug": "private"},
        {"url": "http://localhost:8000/"},
        {"url": "http://vendor_mocks:8000/mock-vendors/sync?rate=20"},
        {"url": "http://[::1]:8000/"},
        {"url": "https://bücher.example/"},
        {"rate_limits": "10/s, 500/min", "max_in_flight": 1, "redact": ""},
        {"timeout_seconds": 0.1, "max_attempts": 1, "callback_timeout_seconds": 30 * 86400},
        {"api_key_env": "VENDOR_ACME_KEY", "webhook_secret_env": "VENDOR_x1"},
        {"slug": "0-a_b"},
    ],
)
def test_valid_settings_pass(fields: dict[str, object]) -> None:
    make(**fields).full_clean()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        *[
            ("slug", slug, "lower-case letters")
            for slug in ("Acme", "a b", "-a", "a/b", "a\n", "é")
        ],
        ("slug", "", "blank"),
        ("slug", "a" * 51, "at most 50 characters"),
        *[
            ("adapter", name, "is not an adapter. Use http, sync, async or adapters.FILE.CLASS")
            for name in (*NO_ADAPTERS, "adapters.faulty.Sound\n")
        ],
        ("adapter", "vendors.adapters.nope.Nope", "there is no module vendors.adapters.nope."),
        (
            "adapter",
            "adapters.nope.Nope",
            "there is no module adapters.nope. Put your own modules into /",
        ),
        ("adapter", "adapters.json.JSONDecoder", "there is no module adapters.json."),
        ("adapter", "adapters.faulty.json.JSONDecoder", "there is no module adapters.faulty.json."),
        ("adapter", "adapters.faulty.Nope", "no class Nope"),
        ("adapter", "adapters.faulty.Adapter", "not a subclass of vendors.base.Adapter"),
        ("adapter", "vendors.adapters.sync.plain_http", "not a subclass of vendors.base.Adapter"),
        ("adapter", "adapters.exits.Adapter", "can't be imported: SystemExit: 2 (/"),
        (
            "adapter",
            "adapters.faulty.FailsToStart",
            "'adapters.faulty.FailsToStart' failed: RuntimeError: no certificate (/",
        ),
        *[("url", url, "full URL") for url in (*NOT_URLS, *URLS_WITH_BLANKS)],
        *[
            ("url", f"http://{host}/", "is not a valid host name")
            for host in (*NO_HOSTS, "a" * 64, f"{'a.' * 127}a")
        ],
        *[("url", f"http://{host}/", "is a link-local, metadata or reserved") for host in METADATA],
        *[("url", url, "a port from 1 to 65535") for url in ("http://a:0/", "http://a:/")],
        ("url", "http://a/b#c", "Remove the #"),
        *[
            ("url", url, "Remove the user name and password")
            for url in ("http://me:pw@a/", "http://me@a/", "http://@a/")
        ],
        ("rate_limits", "10/x", "is not a valid rate limit"),
        ("rate_limits", "9" * 5000 + "/s", "at most 200 characters"),
        ("max_in_flight", 0, "greater than or equal to 1"),
        ("timeout_seconds", 0, "greater than or equal to 0.1"),
        ("timeout_seconds", 3601, "less than or equal to 3600"),
        ("timeout_seconds", float("inf"), "less than or equal to 3600"),
        ("max_attempts", 0, "greater than or equal to 1"),
        ("max_attempts", 101, "less than or equal to 100"),
        ("callback_timeout_seconds", 0.5, "greater than or equal to 1"),
        ("api_key_env", "sk-123", "name of an environment variable, such as VENDOR_ACME_API_KEY"),
        ("webhook_secret_env", "1A", "name of an environment variable"),
        (
            "api_key_env",
            "ACME_API_KEY",
            "Rename the variable, for example to VENDOR_ACME_API_KEY, or add",
        ),
        ("api_key_env", "PATH", "does not begin with VENDOR_"),
        ("webhook_secret_env", "SECRET_KEY", "is a setting of EnrichLabs"),
        ("webhook_secret_env", "VENDOR_VARIABLE_PREFIXES", "is a setting of EnrichLabs"),
        ("api_key_env", "VENDOR_", "does not begin with VENDOR_"),
    ],
)
def test_an_invalid_value_is_an_error_at_its_field(
    field: str, value: object, sentence: str
) -> None:
    faults = faults_of(make(**{field: value}))
    assert list(faults) == [field]
    assert any(sentence in fault for fault in faults[field])


def test_a_module_that_fails_to_import_is_an_error_with_file_and_line(settings: object) -> None:
    assert faults_of(make(adapter="adapters.broken.Adapter")) == {
        "adapter": [
            "The adapter 'adapters.broken.Adapter' can't be imported: "
            f"ZeroDivisionError: division by zero ({settings.ADAPTERS_DIR}/broken.py line 3)."
        ]
    }


def test_an_adapter_file_does_not_shadow_another_module(settings: object, tmp_path: Path) -> None:
    settings.ADAPTERS_DIR = tmp_path
    (tmp_path / "json.py").write_text(
        "from vendors.base import Adapter\n\nclass Own(Adapter):\n    pass\n"
    )
    assert registry.adapter_class("adapters.json.Own").__module__ == "adapters.json"
    assert not hasattr(json, "Own")


def test_a_public_service_rejects_vendors_on_its_own_machine(settings: object) -> None:
    settings.PUBLIC_URL, settings.MOCK_PORT = "https://gateway.example", 8001
    for url in (
        "http://127.0.0.1/",
        "http://[::1]:8000/",
        "http://localhost/",
        "http://a.localhost/",
        "http://0x7f.0x0.0x0.0x1/",
    ):
        assert "this machine itself" in faults_of(make(url=url))["url"][0]
    for url in (
        "http://127.0.0.1:8001/mock-vendors/sync",
        "http://10.0.0.7/",
        "http://vendor-mocks:8001/",
    ):
        make(url=url).full_clean()
    settings.VENDOR_ALLOWED_ADDRESSES = [ip_network("127.0.0.1"), ip_network("169.254.0.0/16")]
    for url in ("http://127.0.0.1/", "http://169.254.169.254/"):
        make(url=url).full_clean()


def test_a_slug_is_unique(make_vendor: Callable[..., Vendor]) -> None:
    make_vendor("acme")
    assert faults_of(make()) == {"slug": ["Vendor with this Slug already exists."]}


def test_a_slug_can_not_be_changed(make_vendor: Callable[..., Vendor]) -> None:
    vendor = make_vendor("acme")
    vendor.slug = "other"
    assert faults_of(vendor) == {"slug": ["The slug can't be changed. It is 'acme'."]}


def test_secrets_are_read_from_the_environment_at_each_access(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor = make(api_key_env="VENDOR_ACME_KEY", webhook_secret_env="VENDOR_ACME_SECRETS")
    assert (vendor.api_key, vendor.webhook_secrets) == ("", [])
    assert vendor.api_key_fault == "The variable VENDOR_ACME_KEY is not set."
    monkeypatch.setenv("VENDOR_ACME_KEY", "k3y\n")
    monkeypatch.setenv("VENDOR_ACME_SECRETS", "whsec_aaaa, whsec_bbbb\n")
    assert (vendor.api_key, vendor.webhook_secrets) == ("k3y", ["whsec_aaaa", "whsec_bbbb"])
    assert (vendor.api_key_fault, vendor.webhook_secret_fault) == ("", "")
    assert (make().api_key, make().webhook_secrets, make().api_key_fault) == ("", [], "")


def test_an_unvalidated_row_can_not_read_other_variables(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    monkeypatch.setenv("ACME_API_KEY", "k3y")
    for name in ("SECRET_KEY", "ACME_API_KEY", "PATH"):
        vendor = make(api_key_env=name, webhook_secret_env=name)
        assert (vendor.api_key, vendor.webhook_secrets) == ("", [])
        assert name in vendor.api_key_fault
        assert name in vendor.webhook_secret_fault
    settings.VENDOR_VARIABLE_PREFIXES = ("VENDOR_", "ACME_")
    assert make(api_key_env="ACME_API_KEY").api_key == "k3y"


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"url": "https://acme.test/"}, {"url"}),
        ({"url": "GET https://acme.test{input.id}/"}, {"url"}),
        ({"url": "GET https://{input.host}/"}, {"url"}),
        ({"url": "GET https://me:pw@acme.test/"}, {"url"}),
        ({"url": "GET http://169.254.169.254/{input.id}"}, {"url"}),
        ({"url": "GET https://acme.test/\n{input.id}"}, {"url"}),
        ({"url": "GET https://acme.test/{input.id}\r\nX: 1"}, {"url"}),
        ({"api_key_env": "VENDOR_X"}, {"api_key_env"}),
        ({"webhook_secret_env": "VENDOR_X"}, {"webhook_secret_env"}),
        ({"required_input": "email"}, {"required_input"}),
        ({"definition": {"credential": "none"}}, {"credential"}),
        ({"definition": {"check": {"url": "GET http://169.254.169.254/"}}}, {"check.url"}),
        ({"definition": {"check": {"url": "GET http://{input.host}/"}}}, {"check.url"}),
        ({"definition": {"colour": 1, "cost": "body["}}, {"colour", "cost"}),
        ({"definition": {"proxy_env": "SECRET_KEY"}}, {"proxy_env"}),
        ({"definition": {"ca_file": "acme.pem"}}, {"ca_file"}),
        ({"adapter": "sync"}, {"url"}),
    ],
)
def test_adapter_http_compiles_its_definition(fields: dict[str, object], keys: set[str]) -> None:
    vendor = make(**{"adapter": "http", "url": "GET https://acme.test/{input.id}", **fields})
    with pytest.raises(ValidationError) as caught:
        vendor.full_clean()
    errors = caught.value.error_dict
    found = {it.code if name == "definition" else name for name in errors for it in errors[name]}
    assert found == keys


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        (
            {"result": "body"},
            "result: Only adapter http has this key. Others have limits, weight, callback, poll",
        ),
        ({"poll": {"every": "soon"}}, "poll.every: Must be a duration"),
        ({"poll": {"url": "GET https://a/"}}, "poll.url: Unknown key. The known ones are after"),
        ({"poll": 5}, "poll: Must be a table"),
        ({"poll": {"every": "1ms"}}, "poll.every: Must be at least 1s"),
        ({"poll": {"every": "1h", "give_up": "1min"}}, "poll.give_up: Must be at least 3600s"),
        ({"callback": {"hmac": "md5"}}, "callback.hmac: "),
        ({"client_cert_file": 5}, "client_cert_file: Must be the absolute path"),
    ],
)
def test_other_adapters_have_few_keys(definition: dict[str, object], fault: str) -> None:
    found = faults_of(make(definition=definition))["definition"]
    assert any(sentence.startswith(fault) for sentence in found), found


def test_other_adapters_may_poll_and_prove_callbacks() -> None:
    proof = {"hmac": "sha256", "header": "X-Signature", "secret_env": "VENDOR_X"}
    definition = {"poll": {"every": "5s", "give_up": "10min"}, "callback": proof}
    make(adapter="adapters.faulty.Sound", definition={**definition, "ca_file": "/a"}).full_clean()


def test_http_requires_the_input_that_its_definition_names() -> None:
    definition = {"input": {"email": "required", "name": "optional"}}
    vendor = make(adapter="http", url="GET https://acme.test/", definition=definition)
    vendor.full_clean()
    assert vendor.required_fields == ("email",)
