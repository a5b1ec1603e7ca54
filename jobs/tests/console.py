"""Shared by tests of the console: users with certain permissions, and the text of a page."""

import html
import re

from django.contrib.auth.models import Permission, User
from django.test import Client

from audit.models import Entry


def sign_in(*permissions):
    """Return a browser in which a user with these permissions is signed in."""
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return _browser_of(user)


def grant(permission):
    """Give the user that `sign_in` made one permission more."""
    user = User.objects.get(username="operator")
    user.user_permissions.add(Permission.objects.get(codename=permission))


def sign_in_as_superuser():
    """Return a browser in which a superuser is signed in.

    For tests that run on both stores: the tests' MongoDB lacks the $project that Django reads
    permissions with.
    """
    return _browser_of(User.objects.create_superuser("operator"))


def trail(target=""):
    """Return action and changes of the audit entries, of one target or of all, oldest first."""
    found = Entry.objects.order_by("id")
    found = found.filter(target=target) if target else found
    return [(entry.action, entry.changes) for entry in found]


def _browser_of(user):
    client = Client()
    client.force_login(user)
    return client


def text(response):
    """Return the text that a user sees, in one line."""
    body = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def listed(response):
    """Return the ids of the rows in a list, in its order."""
    found = response.context
    return [row.pk for row in (found["page"].rows if "page" in found else found["cl"].result_list)]
