"""What tests of the console share: people who may do more or less, and what a page says."""

import html
import re

from django.contrib.auth.models import Permission, User
from django.test import Client

VIEWER = ("view_job", "view_delivery", "view_vendor")


def sign_in(*permissions, **user_fields):
    """Return a browser in which somebody with these permissions is signed in."""
    user = User.objects.create_user("operator", is_staff=True, **user_fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def text(response):
    """Return what a reader sees, in one line."""
    body = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def listed(response):
    """Return the ids of the rows that a list shows, in its order."""
    return [row.pk for row in response.context["cl"].result_list]
