"""Forms to create, rotate and revoke API keys."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from clients import issuing
from clients.models import DEFAULT, ApiKey, Client
from clients.scopes import Scope
from jobs.admin.clients.once import NewIdField

LIFETIME = timedelta(days=90)  # that the form suggests
OVERLAPS = {"0": "end at once", "1": "1 hour", "24": "24 hours", "72": "3 days", "168": "7 days"}
LINE = forms.TextInput(attrs={"class": "vTextField"})


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # no type argument at run time
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.SUBMIT, Scope.READ, Scope.MANAGE],
    )
    expires_at = forms.DateTimeField(
        required=False,
        label="Expires at (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        initial=lambda: timezone.now() + LIFETIME,
        help_text="Leave empty for a key that never expires.",
    )
    new_id = NewIdField()

    class Meta:
        model = ApiKey
        fields = ("client", "name", "scopes", "vendors", "addresses", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "client" in self.fields:  # not on the page of an existing key
            self.fields["client"].initial = Client.objects.filter(slug=DEFAULT).first()

    def clean_scopes(self) -> str:
        return ",".join(self.cleaned_data["scopes"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "client" in cleaned:
            self._add_errors(**{name: cleaned[name] for name in cleaned if name != "new_id"})
        return cleaned

    def _add_errors(self, **cleaned: Any) -> None:
        """Add what is wrong with each field that is well formed."""
        try:
            issuing.draft(**cleaned)
        except ValidationError as error:
            for name, faults in error.error_dict.items():
                if name in cleaned:
                    self.add_error(name, faults)


class RotateForm(forms.Form):
    new_id = NewIdField()
    overlap = forms.ChoiceField(
        choices=OVERLAPS.items(),
        initial="24",
        label="Keep the old key for",
        help_text="Both keys are valid until then: time to replace the key where it is used.",
    )

    def clean_overlap(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["overlap"]))


class RevokeForm(forms.Form):
    reason = forms.CharField(
        max_length=500, required=False, widget=LINE, help_text="For the audit log."
    )
