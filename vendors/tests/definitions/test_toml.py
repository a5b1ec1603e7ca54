"""A TOML file of vendors is read as a whole, and every fault is told with its line."""

import pytest

from vendors.definitions.toml import FaultyVendorsError, built_in, parse
from vendors.definitions.toml_lines import lines_of

GOOD = """
[vendors.acme]
adapter = "sync"
url = "https://acme.test/enrich"
timeout_seconds = 5
redact = ["ssn", "dob"]
"""


def faults_of(text: str) -> list[str]:
    try:
        faults = parse(text).faults
    except FaultyVendorsError as error:
        faults = error.faults
    return [str(fault) for fault in faults]


def test_only_the_fields_that_are_named_are_in_an_entry() -> None:
    (entry,) = parse(GOOD).entries
    assert entry.slug == "acme"
    assert entry.fields == {
        "adapter": "sync",
        "url": "https://acme.test/enrich",
        "timeout_seconds": 5,
        "redact": "ssn, dob",
    }


def test_every_field_of_the_documentation_is_known() -> None:
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
    (entry,) = parse(GOOD + others).entries
    assert len(entry.fields) == 15


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[vendors.acme]\nadapter = \n", "line 2: this is not valid TOML: Invalid value."),
        (
            "[vendors.acme",
            "line 1: this is not valid TOML: Expected ']' at the end of a table declaration.",
        ),
        ("\n\na = [1,\n", "line 4: this is not valid TOML: Invalid value."),
        ("a = " + "[" * 5000, "it is nested too deeply."),
        ("", "line 1: there is no vendor; each is a table [vendors.<slug>]."),
        (
            "# nothing\n\n[vendors]\n",
            "line 3: there is no vendor; each is a table [vendors.<slug>].",
        ),
        ("vendors = 3", "line 1: there is no vendor; each is a table [vendors.<slug>]."),
        (
            "\n[vendor.acme]\n",
            "line 2: 'vendor' is not known; each vendor is a table [vendors.<slug>].",
        ),
        ("[[vendors]]\nurl = ''", "line 1: there is no vendor; each is a table [vendors.<slug>]."),
        ("[vendors]\nacme = 3\n", "line 2: acme: must be a table [vendors.acme]."),
        ("[[vendors.acme]]\nurl = ''", "line 1: acme: must be a table [vendors.acme]."),
    ],
)
def test_what_is_no_file_of_vendors_is_refused(text: str, fault: str) -> None:
    assert faults_of(text) == [fault]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "colour = 1",
            "acme: colour: is not known; there are adapter, url, enabled, rate_limits, arrival_margin_ms, ",
        ),
        ("enabled = 1", "acme: enabled: must be true or false."),
        ('enabled = "yes"', "acme: enabled: must be true or false."),
        ("max_in_flight = true", "acme: max_in_flight: must be a whole number."),
        ("max_attempts = 2.0", "acme: max_attempts: must be a whole number."),
        (f"max_attempts = {10**30}", "acme: max_attempts: must be a whole number."),
        ("callback_timeout_seconds = nan", "acme: callback_timeout_seconds: must be a number."),
        ("callback_timeout_seconds = inf", "acme: callback_timeout_seconds: must be a number."),
        ("callback_timeout_seconds = true", "acme: callback_timeout_seconds: must be a number."),
        (
            "callback_timeout_seconds = 2026-01-01",
            "acme: callback_timeout_seconds: must be a number.",
        ),
        ("rate_limits = 50", "acme: rate_limits: must be a text in quotes"),
        ("api_key_env = {}", "acme: api_key_env: must be a text in quotes"),
    ],
)
def test_a_wrong_key_or_type_is_told_with_its_line(line: str, fault: str) -> None:
    (told,) = faults_of(f"{GOOD}\n# a comment\n{line}\n")
    assert told.startswith(f"line 9: {fault}")


@pytest.mark.parametrize("value", ['"ssn"', "[1]", '["a,b"]', '["a b"]', '[""]', "true"])
def test_redact_is_a_list_of_plain_names(value: str) -> None:
    (told,) = faults_of(GOOD.replace('["ssn", "dob"]', value))
    assert told.startswith("line 6: acme: redact: must be a list of names")


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "[vendors.b]\nurl = 1\n\n[vendors.a]\nadapter = 'sync'\nenabled = 1\n"
    assert [fault.split(" must")[0] for fault in faults_of(text)] == [
        "line 1: b: adapter: is missing.",
        "line 2: b: url:",
        "line 4: a: url: is missing.",
        "line 6: a: enabled:",
    ]


LINES = '''
# vendors
[vendors.acme]   # the first
url = """
[vendors.not-a-table]
adapter = 1
"""
redact = [
  "ssn",
  "dob",  # ]
]

  [ vendors . "b.c" ]
  adapter = "sync"

[vendors.d]

[vendors]
e = { url = "x", adapter = "sync" }
f.url = "y"
'''


def test_the_line_of_each_table_and_key_is_found() -> None:
    found = lines_of(LINES)
    expected = {
        ("acme",): 3,
        ("acme", "url"): 4,
        ("acme", "redact"): 8,
        ("b.c",): 13,
        ("b.c", "adapter"): 14,
        ("d",): 16,
        ("e",): 19,
        ("e", "adapter"): 19,
        ("f", "url"): 20,
    }
    assert {path[1:]: line for path, line in found.items() if path[1:] in expected} == expected
    assert ("vendors", "not-a-table") not in found


def test_lines_are_found_with_the_line_ends_of_windows() -> None:
    assert lines_of(GOOD.replace("\n", "\r\n"))[("vendors", "acme", "redact")] == 6


def test_the_pretend_vendors_are_where_they_are_served() -> None:
    urls = {entry.slug: entry.fields["url"] for entry in built_in("http://127.0.0.1:8001/").entries}
    assert urls == {
        "sync": "http://127.0.0.1:8001/mock-vendors/sync",
        "async": "http://127.0.0.1:8001/mock-vendors/async",
    }
