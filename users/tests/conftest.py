import pytest
from django.contrib.auth.models import User
from django.test import Client

from users.hashing import PBKDF2PasswordHasher

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1)


@pytest.fixture
def ann(db):
    return User.objects.create_superuser("ann", password=PASSWORD)


@pytest.fixture
def log_in():
    """Return a function that logs in, and returns the response with its browser as `client`."""

    def log_in(name="ann", password=PASSWORD, address="192.0.2.7", browser=None, **environ):
        fields = {"username": name, "password": password}
        browser = browser or Client(REMOTE_ADDR=address)
        return browser.post("/admin/login/", fields, **environ)

    return log_in
