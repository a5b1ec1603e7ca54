from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest

from harness.waiting import wait_for
from vendors.catalogue import Catalogue
from vendors.models import Vendor


@pytest.fixture
def catalogue(db: None) -> Catalogue:
    return Catalogue()


def test_a_fresh_copy_is_not_read_again(
    catalogue: Catalogue,
    make_vendor: Callable[..., Vendor],
    django_assert_num_queries: Callable[..., object],
) -> None:
    make_vendor("acme")
    with django_assert_num_queries(4):  # vendors, credentials
        assert [catalogue.get("acme").slug for _ in range(10)] == ["acme"] * 10
        assert catalogue.get("nobody") is None


def test_a_change_is_visible_within_a_second(
    catalogue: Catalogue, make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", enabled=True)
    assert catalogue.get("acme").enabled
    Vendor.objects.update(enabled=False)
    wait_for(lambda: not catalogue.get("acme").enabled, "the change", seconds=1)


def test_a_write_is_visible_at_once_in_its_own_process(
    catalogue: Catalogue, make_vendor: Callable[..., Vendor]
) -> None:
    make_vendor("acme", enabled=True)
    assert catalogue.get("acme").enabled
    Vendor.objects.update(enabled=False)
    catalogue.forget()
    assert not catalogue.get("acme").enabled


def test_a_copy_read_before_a_write_is_not_fresh_after_it(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = Event(), Event()
    old, new = Vendor(slug="acme", enabled=True), Vendor(slug="acme", enabled=False)

    def row(vendor: Vendor, fields: tuple[str, ...]) -> tuple[object, ...]:
        return tuple(getattr(vendor, field) for field in fields)

    def read_slowly(*fields: str) -> list[tuple[object, ...]]:
        reading.set()
        go_on.wait(5)
        return [row(old, fields)]

    monkeypatch.setattr(Vendor.objects, "values_list", read_slowly)
    reader = Thread(target=catalogue.all)
    reader.start()
    assert reading.wait(5)
    writer = Thread(target=catalogue.forget)  # it has just written `new`
    writer.start()
    writer.join(0.05)
    go_on.set()
    reader.join()
    writer.join()
    monkeypatch.setattr(Vendor.objects, "values_list", lambda *fields: [row(new, fields)])
    assert not catalogue.get("acme").enabled


def test_an_adapter_is_cached_until_its_vendor_changes(
    catalogue: Catalogue, make_vendor: Callable[..., Vendor]
) -> None:
    vendor = make_vendor("acme")
    first = catalogue.adapter(Vendor.objects.get())
    assert catalogue.adapter(Vendor.objects.get()) is first
    Vendor.objects.filter(pk=vendor.pk).update(url="http://127.0.0.1:10/")
    second = catalogue.adapter(Vendor.objects.get())
    assert (second is first, second.vendor.url) == (False, "http://127.0.0.1:10/")


def test_a_file_that_a_vendor_names_counts_as_a_change(
    catalogue: Catalogue, make_vendor: Callable[..., Vendor], tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    make_vendor("acme", definition={"ca_file": str(file)})
    seen = [catalogue.all()]
    for act in (lambda: None, lambda: file.write_text("x"), lambda: None, file.unlink):
        act()
        catalogue.forget()
        seen.append(catalogue.all())
    assert [new is old for old, new in pairwise(seen)] == [True, False, True, False]
    assert len({id(vendors["acme"]) for vendors in seen}) == 1
    assert "No such file" in seen[-1]["acme"].outbound_fault
