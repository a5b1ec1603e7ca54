"""What a table [limits.x] says, and what is wrong with one."""

import pytest

from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.limit import SharedLimit, parse_limit
from vendors.limits import Quota, Window

pytestmark = pytest.mark.sqlite
MONTH = {"calls": 5000, "period": "month"}


def test_a_limit_has_windows_a_cap_and_a_quota() -> None:
    quota = {"calls": 50000, "period": "month", "from": 17, "zone": "Europe/Berlin"}
    definition = {
        "windows": "20000/day, 1000/min",
        "max_in_flight": 10,
        "quota": {**quota, "spent": "fail"},
        "per": "credential",
        "arrival_margin_ms": 0,
    }
    assert parse_limit(definition) == SharedLimit(
        windows=(Window(1000, 60), Window(20000, 86400)),
        max_in_flight=10,
        quota=Quota(50000, "month", "Europe/Berlin", 17, fails=True),
        per_credential=True,
    )


def test_what_a_limit_leaves_out_has_a_default() -> None:
    assert parse_limit({"windows": "1/s"}) == SharedLimit(windows=(Window(1, 1.07),))
    assert parse_limit({"quota": MONTH}) == SharedLimit(quota=Quota(5000, "month", "UTC", 1))


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ({}, ": It limits nothing. Add windows"),
        ({"per": "credential", "arrival_margin_ms": 5}, ": It limits nothing."),
        ({"window": "1/s"}, "window: Unknown key. Did you mean windows?"),
        ({"windows": ""}, "windows: Must be a string, such as"),
        ({"windows": ["1/s"]}, "windows: Must be a string, such as"),
        ({"windows": "1/fortnight"}, "windows: '1/fortnight' is not a valid rate limit."),
        ({"windows": "0/s"}, "windows: '0/s' must allow between 1 and 1000000 calls. To stop"),
        ({"max_in_flight": 0}, "max_in_flight: Must be a whole number from 1 to"),
        ({"max_in_flight": True}, "max_in_flight: Must be a whole number from 1 to"),
        ({"arrival_margin_ms": 10_001}, "arrival_margin_ms: Must be a whole number from 0 to"),
        ({"per": "client"}, 'per: Must be "credential"'),
        ({"per": None}, 'per: Must be "credential"'),
        ({"quota": 5000}, "quota: Must be a table, such as { calls"),
        ({"quota": {}}, "quota.calls: This key is required, as in { calls"),
        ({"quota": {"calls": 1}}, "quota.period: This key is required, as in { calls"),
        ({"quota": {**MONTH, "calls": 0}}, "quota.calls: Must be a whole number from 1 to"),
        ({"quota": {**MONTH, "calls": 1.5}}, "quota.calls: Must be a whole number from 1 to"),
        ({"quota": {**MONTH, "until": 3}}, "quota.until: Unknown key. The known ones are calls"),
        ({"quota": {**MONTH, "period": "year"}}, 'quota.period: Must be "day", "week" or "month".'),
        ({"quota": {**MONTH, "from": 0}}, "quota.from: Must be a whole number from 1 to 31."),
        ({"quota": {**MONTH, "from": 32}}, "quota.from: Must be a whole number from 1 to 31."),
        ({"quota": {**MONTH, "period": "week", "from": 3}}, "quota.from: Remove it: only a month"),
        ({"quota": {**MONTH, "zone": "Europe/berlin"}}, "quota.zone: Did you mean Europe/Berlin?"),
        ({"quota": {**MONTH, "zone": "localtime"}}, "quota.zone: Must be the name of a time zone"),
        ({"quota": {**MONTH, "zone": "../../etc/passwd"}}, "quota.zone: Must be the name of a"),
        ({"quota": {**MONTH, "zone": 1}}, "quota.zone: Must be the name of a time zone"),
        ({"quota": {**MONTH, "spent": "stop"}}, 'quota.spent: Must be "wait" or "fail".'),
        ({"quota": {**MONTH, "spent": []}}, 'quota.spent: Must be "wait" or "fail".'),
    ],
)
def test_a_fault_names_its_key_and_the_remedy(definition: dict[str, object], fault: str) -> None:
    with pytest.raises(DefinitionFaults) as caught:
        parse_limit(definition)
    found = [f"{key}: {sentence}" for key, sentence in caught.value.faults.items()]
    assert [sentence for sentence in found if sentence.startswith(fault)], found


def test_all_faults_are_found_at_once() -> None:
    quota = {"calls": 0, "period": "year", "from": 0, "zone": "Mars", "spent": "no", "x": 1}
    definition = {"windows": "x", "max_in_flight": "", "quota": quota, "per": "ip"}
    with pytest.raises(DefinitionFaults) as caught:
        parse_limit(definition)
    keys = {*(f"quota.{name}" for name in quota), "windows", "max_in_flight", "per"}
    assert caught.value.faults.keys() == keys
