import json

import pytest

from vendors.models import Vendor
from vendors.payloads.cleaning import clean


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ({"name": "  John Doe \n"}, {"name": "John Doe"}),
        ({" name ": " a "}, {" name ": "a"}),
        ({"id": 1, " id": 2}, {"id": 1, " id": 2}),
        ({"ssn": "1", "SSN": "2", " Ssn ": "3", "name": "John"}, {"name": "John"}),
        (
            {"a": {"b": [{"ssn": "1", "c": " x "}, [" y ", {"dob": 1}]]}},
            {"a": {"b": [{"c": "x"}, ["y", {}]]}},
        ),
        ({"note": "his ssn is 1", "ssnx": 1}, {"note": "his ssn is 1", "ssnx": 1}),
        ({"ssn": {"deep": [1]}}, {}),
        (
            {"a": 1, "b": 2.5, "c": None, "d": True, "e": [], "f": {}},
            {"a": 1, "b": 2.5, "c": None, "d": True, "e": [], "f": {}},
        ),
        ({"a": "\u00a0x\u3000"}, {"a": "x"}),
    ],
)
def test_strings_are_trimmed_and_redacted_fields_removed_at_any_depth(
    value: object, cleaned: object
) -> None:
    assert clean(value, frozenset({"ssn", "dob"})) == cleaned


@pytest.mark.parametrize(
    "name",
    [
        "SSN",
        "s_s-n",
        " s.s.n: ",
        "s\u200bs\u00adn",
        "\ufeffssn\u0000",
        "\uff33\uff33\uff2e",
        "\u017fsn",
        "s\u034fsn\ufe0f",
        "$ssn" + "-" * 200,
    ],
)
@pytest.mark.parametrize(
    ("shape", "cleaned"),
    [
        (lambda name: {name: "1", "a": 2}, lambda _: {"a": 2}),
        (
            lambda name: [{"key": name, "value": "1", "a": 2}],
            lambda name: [{"key": name.strip(), "a": 2}],
        ),
        (lambda name: {"Name": name, "VALUE": {"deep": 1}}, lambda name: {"Name": name.strip()}),
        (lambda name: {"field": name, "value": 1}, lambda name: {"field": name.strip()}),
        (
            lambda name: {"a": [[name, "1"], ["b", 2]]},
            lambda name: {"a": [[name.strip()], ["b", 2]]},
        ),
        (
            lambda name: {"a": " " + json.dumps({"b": {name: 1}, "c": 2})},
            lambda _: {"a": '{"b":{},"c":2}'},
        ),
        (
            lambda name: {"a": json.dumps([[name, 1]])},
            lambda name: {"a": json.dumps([[name.strip()]])},
        ),
    ],
)
def test_a_redacted_field_is_found_in_any_spelling(
    name: str, shape: object, cleaned: object
) -> None:
    assert clean(shape(name), frozenset({"ssn"})) == cleaned(name)
    assert clean(shape(name), frozenset({"S.S.N."})) == cleaned(name)


@pytest.mark.parametrize(
    "value",
    [
        {"a": '{"b": 1.50,  "note": "ssn"}'},
        {"a": "[ssn, 1]"},
        {"a": "{" * 5000},
        {"a": "[" * 200 + "]" * 200},
        {"a": ["ssn", 1, 2], "b": ["ssn"]},
        {"name": "ssnx", "value": 1},
        {"name": 5, "value": 1},
        {"a": json.dumps({"b": json.dumps({"ssn": 1})})},
        {"\u0455sn": 1},  # with a Cyrillic letter
    ],
)
def test_other_values_are_unchanged(value: object) -> None:
    assert clean(value, frozenset({"ssn"})) == value


def test_characters_that_utf8_can_not_encode_are_replaced() -> None:
    assert clean(json.loads('{"a\\ud800": 1, "a\\ud801": 2}'), frozenset()) == {
        "a\\ud800": 1,
        "a\\ud801": 2,
    }
    cleaned = clean(json.loads('{"a\\ud800": "\\udfff b", "emoji": "\\ud83d\\ude00"}'), frozenset())
    assert cleaned["emoji"] == "😀"
    json.dumps(cleaned, ensure_ascii=False).encode()


def test_the_argument_is_not_modified() -> None:
    given = {"ssn": "1", "a": [" x "]}
    clean(given, frozenset({"ssn"}))
    assert given == {"ssn": "1", "a": [" x "]}


@pytest.mark.parametrize(
    ("redact", "fields"),
    [
        ("ssn", {"ssn"}),
        (" SSN,dob ,", {"ssn", "dob"}),
        ("ssn dob", {"ssn", "dob"}),
        ("", set()),
        (" , ", set()),
    ],
)
def test_redact_is_separated_by_spaces_or_commas(redact: str, fields: set[str]) -> None:
    assert Vendor(redact=redact).redacted_fields == fields


def test_an_answer_of_the_maximum_depth_is_cleaned() -> None:
    clean(json.loads('{"a":' * 100 + "1" + "}" * 100), frozenset())
