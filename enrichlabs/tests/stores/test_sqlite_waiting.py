"""Waiting for the lock of SQLite blocks no other thread."""

import sqlite3
import threading

import pytest
from django.conf import settings
from django.db import connection

from harness.waiting import wait_for
from jobs.storage.store import patience, writing
from vendors.models import Vendor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.ON_MONGODB, reason="about SQLite's locks"),
]


def test_cursors_of_a_waiting_thread_can_be_freed_by_the_writing_thread(make_vendor):
    """The garbage collector does this in any thread."""
    make_vendor("acme"), make_vendor("globex")
    cursors, waits, is_freed = [], threading.Event(), threading.Event()

    def wait_with_an_open_cursor():
        cursors.append(connection.connection.execute("SELECT * FROM vendors_vendor"))
        cursors[0].fetchone()
        waits.set()
        Vendor.objects.filter(slug="acme").update(max_attempts=7)  # waits for the lock
        connection.close()

    def open_connection_and_wait():
        connection.ensure_connection()
        wait_with_an_open_cursor()

    other = threading.Thread(target=open_connection_and_wait)
    with writing():
        Vendor.objects.filter(slug="globex").update(max_attempts=7)
        other.start()
        assert waits.wait(10)
        threading.Event().wait(0.2)  # so that it starts to wait
        freeing = threading.Thread(target=lambda: (cursors.clear(), is_freed.set()))
        freeing.start()
        assert is_freed.wait(5)
    other.join(10)
    assert set(Vendor.objects.values_list("max_attempts", flat=True)) == {7}


def test_a_statement_waits_for_the_lock_as_long_as_patience_allows(make_vendor):
    make_vendor("acme")
    ends = []

    def update():
        ends.append(Vendor.objects.filter(slug="acme").update(max_attempts=8))
        connection.close()

    locker = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Exception, match="locked"), patience(0.1):
        Vendor.objects.filter(slug="acme").update(max_attempts=9)
    waiting = threading.Thread(target=update)
    waiting.start()
    locker.execute("ROLLBACK")
    locker.close()
    wait_for(lambda: ends == [1], "the update")
    waiting.join()
    assert Vendor.objects.get().max_attempts == 8
