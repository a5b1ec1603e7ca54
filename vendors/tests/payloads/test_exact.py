"""Numbers keep their digits, whatever they calculate as."""

import copy
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vendors.payloads import exact
from vendors.payloads.cleaning import clean

LONG = "1234567890123456.789"


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"-{LONG}",
        "0.10000000000000000555",
        "52.520006599999999",
        "1e-400",
        "4.9406564584124654e-324",
        "1.0000000000000000000000001E+3",
        "1e-99999999999999999999",
        "12345678901234567890",
        "9" * 1000,
        "0." + "1" * 5000,
    ],
)
def test_a_number_is_written_with_its_original_digits(text: str) -> None:
    value = exact.read(f'{{"a":[{text},"{text}"],"b":{text}}}')
    assert exact.write(value) == f'{{"a":[{text},"{text}"],"b":{text}}}'
    assert (
        exact.write(clean(copy.deepcopy(value), frozenset({"b"}))) == f'{{"a":[{text},"{text}"]}}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "0.1",
        "1.5",
        "0.0",
        "-0.0",
        "1e5",
        "1e-200",
        "1.7976931348623157e+308",
        "0.30000000000000004",
        "5e-324",
    ],
)
def test_a_number_that_fits_a_float_is_read_as_a_plain_float(text: str) -> None:
    assert type(exact.read(text)) is float
    assert json.loads(exact.write(exact.read(text))) == json.loads(text)


def test_a_number_with_more_digits_calculates_as_a_float() -> None:
    value = exact.read(LONG)
    assert isinstance(value, float)
    assert (value + 1, value == float(LONG), json.loads(json.dumps(value))) == (
        float(LONG) + 1,
        True,
        float(LONG),
    )


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,30})\.[0-9]{1,30}([eE][-+]?[0-9]{1,2})?",
        fullmatch=True,
        alphabet="0123456789.eE+-",
    )
)
def test_any_number_survives_reading_and_writing(text: str) -> None:
    assert Decimal(exact.write(exact.read(text))) == Decimal(text)


def test_other_values_are_written_as_usual() -> None:
    value = {"a": [1, None, True, (2, "ü")], "b": {}}
    assert exact.write(value) == '{"a":[1,null,true,[2,"\\u00fc"]],"b":{}}'
    with pytest.raises(TypeError):
        exact.write({"a": {1}})
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        exact.write(circle)
