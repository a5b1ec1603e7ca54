import json

import pytest

from vendors.payloads.json_object import MAX_LEVELS, read


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, "\\u00e9"]} ', {"a": [1, 2.5, None, True, "é"]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "ü"}'.encode("utf-16"), {"a": "ü"}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)
def test_an_object_is_read(body: bytes, value: dict[str, object]) -> None:
    assert read(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": 1',
        b'{"a": 1} x',
        b"\xff",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"[" * 100_000,
    ]
    + [b'{"a": ' + b"9" * 5000 + b"}"],
)
def test_what_could_not_be_written_as_json_again_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^It is not valid JSON\.$"):
        read(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1", b"true"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not an object"):
        read(body)


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_nesting_ends_at_a_bound_that_everything_after_can_bear(pair: tuple[str, str]) -> None:
    def nested(levels: int) -> bytes:
        inside = pair[0] * (levels - 1) + "1" + pair[1] * (levels - 1)
        return f'{{"a": {inside}}}'.encode()

    assert json.loads(json.dumps(read(nested(MAX_LEVELS)))) == json.loads(nested(MAX_LEVELS))
    with pytest.raises(ValueError, match="levels deep"):
        read(nested(MAX_LEVELS + 1))
