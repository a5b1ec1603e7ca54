import json
import time
import tracemalloc
from typing import Any

import jmespath
import pytest

from vendors.definitions.expressions import budget
from vendors.definitions.expressions.budget import Budget, TooMuchWorkError
from vendors.definitions.expressions.expression import compile_expression, is_true
from vendors.definitions.expressions.interpreter import Interpreter
from vendors.payloads.json_reader import VENDOR_JSON

BODY = {
    "text": "x" * 400_000,
    "short": "x" * 2000,
    "numbers": list(range(50_000)),
    "twins": ["q" * 200_000, "q" * 199_999 + "Q"],
    "items": [{"id": index, "name": f"n{index}"} for index in range(1000)],
}
DOUBLE = "|[@,@]" * 45

BOMBS = [
    f"body{DOUBLE}",
    f"to_string([@]{DOUBLE})",
    f"([@]{DOUBLE}) == ([@]{DOUBLE})",
    f"contains([@]{DOUBLE}, [@]{DOUBLE})",
    f"[[@]{DOUBLE}, `1`] | [?@ == `1`]",
    "body.numbers" + "|[@,@][]" * 20,
    "body.numbers[*].[@,@][]" + "|[@,@][]" * 20,
    "map(&map(&map(&@, [@,@]), [@,@]), body.numbers)",
    "body.numbers | [*].[@,@,@,@,@,@,@,@,@,@,@,@]",
    "length(replace(body.short, 'x', body.short))",
    "split(body.text, 'x') | [@,@][] | [@,@][] | length(@)",
    "join(body.text, ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'])"
    " | [@,@,@,@,@,@,@,@]",
    "[body.twins[0], body.twins[1]]" + "|[@,@][]" * 12 + "|sort(@)",
    "body.twins" + "|[@,@][]" * 8 + "|map(&lower(@), @)",
    "body.twins" + "|[@,@][]" * 8 + "|map(&sha256(@), @)",
    "body.twins" + "|[@,@][]" * 10 + "|[?@ < 'qq']",
    "sort_by(body.numbers" + "|[@,@][]" * 3 + ", &to_string(@))",
]


def evaluate(text: str, **scope: Any) -> Any:
    return compile_expression(text).evaluate(scope, Budget())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lower('ABC')", "abc"),
        ("split('a,b', ',')", ["a", "b"]),
        ("split('a', '')", None),
        ("replace('a-b-c', '-', '')", "abc"),
        ("number('12')", 12),
        ("number(' 1.5 ')", 1.5),
        ("number('-3')", -3),
        ("number('1e999')", None),
        ("number('nan')", None),
        ("number(`true`)", None),
        ("number('twelve')", None),
        ("to_number('inf')", None),
        ("iso_time(`1700000000`)", "2023-11-14T22:13:20Z"),
        ("iso_time('1700000000')", "2023-11-14T22:13:20Z"),
        ("iso_time(`1700000000123`)", "2023-11-14T22:13:20.123000Z"),
        ("iso_time('2026-01-01T01:00:00+01:00')", "2026-01-01T00:00:00Z"),
        ("iso_time('soon')", None),
        ("iso_time(`1e300`)", None),
        ("sha256('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ('to_string(`{"a": [1, null]}`)', '{"a":[1,null]}'),
        ("to_string(&a)", None),
        ("&a", None),
        ("[&a]", None),
        ("sum([`1e308`, `1e308`])", None),
        ("avg([`1e308`, `1e308`])", None),
        ("length(missing)", None),
        ("'a' < `1`", None),
        ("`true` < `2`", None),
        ("`1` == `true`", False),
        ("'b' > 'a'", True),
        ("contains('abc', 'b')", True),
        ("contains('abc', `1`)", False),
        ("contains([`1`], `true`)", False),
        ("missing.deeper[0].still", None),
        ("starts_with(missing, 'x')", None),
        ("sort_by([{a: 'x'}, {a: `1`}], &a)", None),
    ],
)
def test_a_value_is_json_or_null(text: str, value: Any) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize("text", BOMBS)
def test_a_bomb_is_too_much_work(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_SIZE", 50_000)  # to be quicker
    with pytest.raises(TooMuchWorkError):
        compile_expression(text).evaluate({"body": BODY}, Budget(50_000))


def test_a_budget_is_spent_quickly() -> None:
    began = time.process_time()
    for text in ("map(&[@,@], body.numbers)", f"[@]{DOUBLE}"):
        with pytest.raises(TooMuchWorkError):
            compile_expression(text).evaluate({"body": BODY}, Budget())
    assert time.process_time() - began < 3


def test_a_budget_is_spent_in_little_memory() -> None:
    expression = compile_expression("body.numbers" + "|[@,@][]" * 20)
    tracemalloc.start()
    try:
        with pytest.raises(TooMuchWorkError):
            expression.evaluate({"body": BODY}, Budget(60_000))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "body.items[*].{id: id, name: name}",
        "length(body.numbers)",
        "body.items[?id > `500`].name | sort(@) | [0]",
        "contains(lower(body.text), 'y')",
        "sum(body.numbers)",
    ],
)
def test_honest_expressions_over_a_large_body_fit_the_budget(text: str) -> None:
    assert evaluate(text, body=BODY) is not None


def test_a_budget_is_shared_by_the_expressions_of_an_answer() -> None:
    shared, expression = Budget(10_000), compile_expression("body.items[*].{id: id, name: name}")
    assert expression.evaluate({"body": BODY}, shared)
    with pytest.raises(TooMuchWorkError):
        expression.evaluate({"body": BODY}, shared)


def test_a_part_of_a_body_may_be_larger_than_what_an_expression_makes() -> None:
    body = {"data": ["x" * 100] * 100_000}
    assert evaluate("body.data", body=body) == body["data"]


def test_numbers_keep_their_digits() -> None:
    body = VENDOR_JSON.read(b'{"n": 1234567890123456.789, "m": 2}')
    assert repr(evaluate("body.n", body=body).text) == "'1234567890123456.789'"
    assert evaluate("to_string(body)", body=body) == '{"n":1234567890123456.789,"m":2}'
    assert evaluate("max([body.n, body.m])", body=body) == body["n"]
    assert evaluate("sort_by([{a: body.n}, {a: body.m}], &a)[0].a", body=body) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False), (0, True), ("0", True)],
)
def test_what_counts_as_true(value: Any, expected: bool) -> None:
    assert is_true(value) is expected


def test_values_are_those_of_jmespath() -> None:
    """Our interpreter replaces parts of its own."""
    given = {"a": [{"b": 1, "c": [1, [2]]}, {"b": 2}, {"b": "x"}], "o": {"x": 1, "y": [3, 4]}}
    for text in [
        *("a[*].b", "a[?b == `1`].c[][]", "a[0].c[]", "o.*", "a[-1].b", "a[0:2].b", "a[::-1].b"),
        *("o.{z: x, w: y[1]}", "[o.x, o.q]", "o.x == `1` && a[0].b", "!(o.q)", "a[:2][?b > `1`]"),
        *("keys(o)", "values(o)", "merge(o, {q: `1`})", "reverse(o.y)", "a[*].b | [0]"),
        *("max_by(a[:2], &b).b", "o.q || o.x", "a[?b != 'x'].b", "type(a)", "not_null(o.q, o.x)"),
    ]:
        expression = compile_expression(text)
        expected = jmespath.search(text, given)
        assert json.dumps(Interpreter(Budget()).visit(expression.tree, given)) == json.dumps(
            expected
        ), text
