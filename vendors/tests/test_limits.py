import pytest

from vendors.limits import Window, parse


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", []),
        (" , ", []),
        ("10/s", [Window(10, 1)]),
        ("20000/day, 500/min, 10/s", [Window(10, 1), Window(500, 60), Window(20000, 86400)]),
        ("1000/h", [Window(1000, 3600)]),
        (" 10 / 5 s ,100/2MIN", [Window(10, 5), Window(100, 120)]),
        ("1/31day", [Window(1, 31 * 86400)]),
        ("1000000/s", [Window(1_000_000, 1)]),
    ],
)
def test_limits_are_parsed(text: str, windows: list[Window]) -> None:
    assert parse(text) == windows


def test_each_window_is_longer_by_the_margin() -> None:
    assert parse("10/s, 500/min", margin_seconds=0.07) == [Window(10, 1.07), Window(500, 60.07)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "10",
            "'10' is not a valid rate limit. Write for example 10/s, 500/min, 1000/h or 20000/day.",
        ),
        ("10/x", "'10/x' is not a valid rate limit"),
        ("１0/s", "is not a valid rate limit"),
        ("10/٥s", "is not a valid rate limit"),
        ("10/sec", "is not a valid rate limit"),
        ("ten/s", "is not a valid rate limit"),
        ("-1/s", "is not a valid rate limit"),
        ("1.5/s", "is not a valid rate limit"),
        ("10/s 5/min", "is not a valid rate limit"),
        ("10/s;", "is not a valid rate limit"),
        ("10/s, x", "'x' is not a valid rate limit"),
        ("0/s", "must allow between 1 and 1000000 calls. To stop a vendor, pause it."),
        ("1000001/s", "must allow between 1 and 1000000 calls"),
        ("1/0s", "must have a period between 1 second and 31 days"),
        ("1/32day", "must have a period between 1 second and 31 days"),
        ("10/s, 5/1s", "same period. Keep the lower one"),
        ("10/min, 10/60s", "same period"),
    ],
)
def test_an_invalid_limit_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(").replace("?", r"\?")):
        parse(text)
