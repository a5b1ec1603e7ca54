"""Forms that create an API key create it once. A browser sends a form again when the page that it
led to, which shows the key, is reloaded.
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from clients.models import ApiKey
from vendors.models import new_id

NOT_NEW = (
    "This key was created already. Its text can't be shown again: rotate it if you did not keep it."
)


class NewIdField(forms.UUIDField):
    """The id of the key to be, chosen when the form is shown."""

    widget = forms.HiddenInput

    def __init__(self, **kwargs: Any) -> None:
        # Without one, as in a form of an earlier version, the key gets an id of its own.
        super().__init__(**{"required": False, "initial": new_id, **kwargs})

    def clean(self, value: Any) -> str:
        return str(super().clean(value) or new_id())


def created_before(request: HttpRequest) -> ApiKey | None:
    """Return the key that this form has created before, and tell the user; None if it has not."""
    if request.method != "POST":
        return None
    try:
        sent = str(UUID(request.POST.get("new_id", "")))
    except ValueError:
        return None
    key = ApiKey.objects.filter(pk=sent).first()
    if key:
        messages.warning(request, NOT_NEW)
    return key
