"""Parsing a TOML file of vendors: each fault names its key."""

import pytest

from vendors.loading.toml import UNKNOWN_TABLE, FaultyVendorsError, built_in, parse

GOOD = """
[vendors.acme]
adapter = "sync"
url = "https://acme.test/enrich"
timeout_seconds = 5
required_input = ["name", "email"]
redact = ["ssn", "dob"]
"""
MISPLACED = "Not valid TOML: Invalid initial character for a key part"
ON_ONE_LINE = (
    "An inline table { } stands on one line, without a comma at its end. A longer one is a table "
    "of its own, such as [vendors.NAME.callback], at the end of its vendor."
)
NO_VENDOR = "vendors: The file has no vendor. Add a table [vendors.SLUG] for each."


def faults_of(text: str) -> list[str]:
    try:
        parsed = parse(text)
    except FaultyVendorsError as error:
        return [str(fault) for fault in error.faults]
    of_entries = [
        entry.fault(name, sentence)
        for entry in parsed.vendors
        for name, sentence in entry.faults.items()
    ]
    return [str(fault) for fault in [*parsed.faults, *of_entries]]


def test_an_entry_has_only_the_named_fields() -> None:
    (entry,) = parse(GOOD).vendors
    assert entry.slug == "acme"
    assert entry.fields == {
        "adapter": "sync",
        "url": "https://acme.test/enrich",
        "timeout_seconds": 5,
        "required_input": "name, email",
        "redact": "ssn, dob",
    }


def test_every_documented_field_is_known() -> None:
    others = """
enabled = false
rate_limits = "50/s, 2000/min"
arrival_margin_ms = 0
max_in_flight = 3
max_queued = 5000
max_attempts = 2
callback_timeout_seconds = 60.5
repeat_unknown = false
repeat_overdue = true
api_key_env = "VENDOR_ACME_KEY"
webhook_secret_env = "VENDOR_ACME_SECRET"
"""
    (entry,) = parse(GOOD + others).vendors
    assert len(entry.fields) == 16


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[vendors.acme]\nadapter = \n",
            "Not valid TOML: Invalid value (at line 2, column 11).",
        ),
        (
            "[vendors.acme",
            "Not valid TOML: Expected ']' at the end of a table declaration (at end of document).",
        ),
        ("\n\na = [1,\n", "Not valid TOML: Invalid value (at end of document)."),
        ("a = " + "[" * 5000, "The file is nested too deeply."),
        ("a = { b = { c = 1 },\n d = 2 }", f"{MISPLACED} (at line 1, column 21). {ON_ONE_LINE}"),
        ("a = { b = 1, }", f"{MISPLACED} (at line 1, column 14). {ON_ONE_LINE}"),
        ("", NO_VENDOR),
        ("# nothing\n\n[vendors]\n", NO_VENDOR),
        ("vendors = 3", NO_VENDOR),
        ("\n[vendor.acme]\n", f"vendor: {UNKNOWN_TABLE}"),
        ("[[vendors]]\nurl = ''", NO_VENDOR),
        ("[vendors]\nacme = 3\n", "vendors.acme: Must be a table [vendors.acme]."),
        ("[[vendors.acme]]\nurl = ''", "vendors.acme: Must be a table [vendors.acme]."),
    ],
)
def test_a_file_without_vendors_is_an_error(text: str, fault: str) -> None:
    assert faults_of(text) == [fault]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "colour = 1",
            "colour: Unknown key. The known ones are adapter, url, enabled, rate_limits, ",
        ),
        ("enabled = 1", "enabled: Must be true or false."),
        ('enabled = "yes"', "enabled: Must be true or false."),
        ("max_in_flight = true", "max_in_flight: Must be a whole number"),
        ("max_attempts = 2.0", "max_attempts: Must be a whole number."),
        (f"max_attempts = {10**30}", "max_attempts: Must be a whole number."),
        ("callback_timeout_seconds = nan", "callback_timeout_seconds: Must be a number."),
        ("callback_timeout_seconds = inf", "callback_timeout_seconds: Must be a number."),
        ("callback_timeout_seconds = true", "callback_timeout_seconds: Must be a number."),
        ("callback_timeout_seconds = 2026-01-01", "callback_timeout_seconds: Must be a number."),
        ("rate_limit = '5/s'", "rate_limit: Unknown key. Did you mean rate_limits?"),
        ("rate_limits = 50", 'rate_limits: Must be a string, such as "10/s, 500/min".'),
        ("api_key_env = {}", "api_key_env: Must be a string"),
    ],
)
def test_a_wrong_key_or_type_is_an_error_at_the_key(line: str, fault: str) -> None:
    (reported,) = faults_of(f"{GOOD}\n# a comment\n{line}\n")
    assert reported.startswith(f"vendors.acme.{fault}")


@pytest.mark.parametrize("value", ['"ssn"', "[1]", '["a,b"]', '["a b"]', '[""]', "true"])
def test_redact_must_be_a_list_of_names(value: str) -> None:
    (reported,) = faults_of(GOOD.replace('["ssn", "dob"]', value))
    assert reported.startswith("vendors.acme.redact: Must be a list of names")


def test_faults_are_in_the_order_of_the_file() -> None:
    text = "[vendors.b]\nurl = 1\n\n[vendors.a]\nadapter = 'sync'\nenabled = 1\n"
    assert [fault.split(" Must")[0] for fault in faults_of(text)] == [
        "vendors.b.adapter: This key is required.",
        "vendors.b.url:",
        "vendors.a.url: This key is required.",
        "vendors.a.enabled:",
    ]


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ('vendors."b.c"', 'vendors."b.c"'),
        (" vendors . 'New One' ", 'vendors."New One"'),
        ("vendors.ü", None),
        ("vendors.x-1_y", "vendors.x-1_y"),
    ],
)
def test_a_key_is_reported_as_toml_spells_it(table: str, path: str | None) -> None:
    faults = faults_of(f'[{table}]\nurl = ""\n')
    if path is None:
        assert faults[0].startswith("Not valid TOML: ")
    else:
        assert faults == [f"{path}.adapter: This key is required."]


def test_windows_line_ends_are_read() -> None:
    text = GOOD.replace("5\n", '"5"\n').replace("\n", "\r\n")
    assert faults_of(text) == ["vendors.acme.timeout_seconds: Must be a number."]


def test_the_mock_vendors_have_the_url_they_are_served_at() -> None:
    urls = {entry.slug: entry.fields["url"] for entry in built_in("http://127.0.0.1:8001/").vendors}
    assert urls == {
        "sync": "http://127.0.0.1:8001/mock-vendors/sync",
        "async": "http://127.0.0.1:8001/mock-vendors/async",
    }
