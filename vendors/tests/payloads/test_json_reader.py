import json
from dataclasses import replace

import pytest

from vendors.payloads.json_reader import VENDOR_JSON, InvalidJSON, JSONReader

STRICT = JSONReader(
    "The text",
    max_levels=3,
    max_digits=5,
    unique_names=True,
    utf8_only=True,
    lone_surrogates=False,
    error_positions=True,
)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, "\\u00e9"]} ', {"a": [1, 2.5, None, True, "é"]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "ü"}'.encode("utf-16"), {"a": "ü"}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": "\\ud800"}', {"a": "\ud800"}),
    ],
)
def test_vendor_json_is_read_leniently(body: bytes, value: dict[str, object]) -> None:
    assert VENDOR_JSON.read_object(body) == value


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "It is not valid JSON."),
        (b"<html>", "It is not valid JSON."),
        (b'{"a": 1', "It is not valid JSON."),
        (b'{"a": 1} x', "It is not valid JSON."),
        (b"\xff", "It is not valid JSON."),
        (b'{"a": NaN}', "It contains NaN, which is not valid JSON; use null or omit the field."),
        (
            b'{"a": -Infinity}',
            "It contains -Infinity, which is not valid JSON; use null or omit the field.",
        ),
        (b'{"a": 1e999}', "It has a number that is too large; the limit is 1.7e308."),
        (b"[" * 100_000, "It is nested deeper than 100 levels."),
        (b'{"a": ' + b"9" * 5000 + b"}", "It has a number with too many digits; send it as text."),
    ],
)
def test_vendor_json_that_could_not_be_written_again_is_refused(body: bytes, error: str) -> None:
    with pytest.raises(InvalidJSON) as refused:
        VENDOR_JSON.read_object(body)
    assert str(refused.value) == error


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1", b"true"])
def test_json_that_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJSON, match="not an object"):
        VENDOR_JSON.read_object(body)


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"])
def test_nesting_is_accepted_up_to_the_limit(pair: tuple[str, str]) -> None:
    def nested(levels: int) -> bytes:
        inside = pair[0] * (levels - 1) + "1" + pair[1] * (levels - 1)
        return f'{{"a": {inside}}}'.encode()

    limit = VENDOR_JSON.max_levels
    assert json.loads(json.dumps(VENDOR_JSON.read(nested(limit)))) == json.loads(nested(limit))
    with pytest.raises(InvalidJSON, match="deeper than 100 levels"):
        VENDOR_JSON.read(nested(limit + 1))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "is not valid JSON: Expecting property name enclosed in double quotes (line 1, "),
        (b'{"a": 1, "b": [{"c": 1, "c": 2}]}', "has an object with two fields of the same name"),
        (b"[[[[]]]]", "is nested deeper than 3 levels"),
        (b"123456", "has a number with more than 5 digits"),
        (b"0.1234", "has a number with more than 5 digits"),
        ('"ü"'.encode("utf-16"), "is not UTF-8 text"),
        (b"\xef\xbb\xbf1", "starts with a byte order mark (BOM)"),
        (b'"\\ud800"', "has text with a lone surrogate"),
        (b'{"\\udfff": 1}', "has text with a lone surrogate"),
    ],
)
def test_each_limit_is_an_option(body: bytes, error: str) -> None:
    with pytest.raises(InvalidJSON) as refused:
        STRICT.read(body)
    assert str(refused.value).startswith(f"The text {error}")


@pytest.mark.parametrize("body", [b'"\\ud83d\\ude00"', b"[[[12345]]]", b'{"a": {"a": 1.5}}'])
def test_a_strict_reader_accepts_what_is_within_its_limits(body: bytes) -> None:
    assert STRICT.read(body) == json.loads(body)


def test_a_reader_for_another_subject_has_the_same_limits() -> None:
    with pytest.raises(InvalidJSON, match=r"^--input is nested deeper than 3 levels\.$"):
        replace(STRICT, subject="--input").read(b"[[[[]]]]")
