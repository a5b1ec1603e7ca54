import json

import pytest

from vendors.cleaning import clean
from vendors.models import Vendor


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ({"name": "  John Doe \n"}, {"name": "John Doe"}),
        ({" name ": " a "}, {"name": "a"}),
        ({"ssn": "1", "SSN": "2", " Ssn ": "3", "name": "John"}, {"name": "John"}),
        ({"a": {"b": [{"ssn": "1", "c": " x "}, [" y ", {"dob": 1}]]}}, {"a": {"b": [{"c": "x"}, ["y", {}]]}}),
        ({"note": "his ssn is 1", "ssnx": 1}, {"note": "his ssn is 1", "ssnx": 1}),
        ({"ssn": {"deep": [1]}}, {}),
        (
            {"a": 1, "b": 2.5, "c": None, "d": True, "e": [], "f": {}},
            {"a": 1, "b": 2.5, "c": None, "d": True, "e": [], "f": {}},
        ),
        ({"a": "\u00a0x\u3000"}, {"a": "x"}),
    ],
)
def test_strings_are_trimmed_and_redacted_fields_removed_at_any_depth(value: object, cleaned: object) -> None:
    assert clean(value, frozenset({"ssn", "dob"})) == cleaned


def test_what_utf8_can_not_spell_is_replaced() -> None:
    cleaned = clean(json.loads('{"a\\ud800": "\\udfff b", "emoji": "\\ud83d\\ude00"}'), frozenset())
    assert cleaned["emoji"] == "😀"
    json.dumps(cleaned, ensure_ascii=False).encode()


def test_what_was_given_is_not_changed() -> None:
    given = {"ssn": "1", "a": [" x "]}
    clean(given, frozenset({"ssn"}))
    assert given == {"ssn": "1", "a": [" x "]}


@pytest.mark.parametrize(
    ("redact", "fields"),
    [("ssn", {"ssn"}), (" SSN,dob ,", {"ssn", "dob"}), ("ssn dob", {"ssn", "dob"}), ("", set()), (" , ", set())],
)
def test_the_fields_of_a_vendor_are_read_with_blanks_or_commas(redact: str, fields: set[str]) -> None:
    assert Vendor(redact=redact).redacted_fields == fields


def test_an_answer_as_deep_as_is_read_is_cleaned() -> None:
    clean(json.loads('{"a":' * 100 + "1" + "}" * 100), frozenset())
