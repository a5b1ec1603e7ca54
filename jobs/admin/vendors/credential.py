"""Credentials: how vendors are shown who calls. The keys themselves are never shown."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from jobs.admin.vendors import sending
from jobs.admin.vendors.confirmation import CONFIRMATION_FIELD, ConfirmingForm
from jobs.admin.vendors.shared import SharedAdmin
from vendors import credentials
from vendors.models import Credential, faults_of_users, users_of

HELP = (
    'Where the key stands and which variable holds it: header = "X-Api-Key", query or body with a '
    'name, or basic = true; and keys_env = ["VENDOR_ACME_KEY"]. Or bearer_env = "VENDOR_ACME_KEY". '
    "With several keys, each call is made with the one that has most room; those in retired_env "
    "are used for polls alone. Comments are not kept."
)


ELSEWHERE = {
    "credentials": "Paste only what stands in [credentials.NAME], without this line.",
    "vendors": "A vendor has a page of its own.",
    "limits": "A limit has a page of its own.",
}


class CredentialForm(ConfirmingForm):
    may_send_credentials = False

    # A key is sent in another way, or another key is sent, only if the operator confirms which.
    variables_again = forms.CharField(
        required=False,
        label="Confirm variable",
        help_text="Only if you change the definition of a credential in use: "
        "type the name of its variable again.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        stored = Credential.objects.filter(pk=self.instance.pk).first()
        if stored and "definition" in cleaned and "definition" in self.changed_data:
            self._check_change(stored, cleaned)
        return cleaned

    def _check_change(self, stored: Credential, cleaned: dict[str, Any]) -> None:
        definition = cleaned["definition"]
        if not self.may_send_credentials and sending.changes_place(stored, definition):
            self.add_error("definition", sending.REFUSAL)
        else:
            self._check_users(stored, cleaned)

    def _check_users(self, stored: Credential, cleaned: dict[str, Any]) -> None:
        if users := [vendor.slug for vendor in users_of(stored)]:
            why = (
                f"Calls of {', '.join(users)} would carry another key, or carry it elsewhere. "
                "To send the value of this variable"
            )
            variables = set(credentials.variables_of(cleaned["definition"]))
            self.require_again(cleaned, variables, why)
        stored.definition = cleaned["definition"]
        for slug, sentence in faults_of_users(stored):
            self.add_error("definition", f"Vendor {slug} could not use it. {sentence}")


@admin.register(Credential)
class CredentialAdmin(SharedAdmin):
    form = CredentialForm
    heading = "Credentials"
    definition_options = {
        "help_text": HELP,
        "elsewhere": ELSEWHERE,
        "error_messages": {"required": credentials.ONE_PLACE},
    }
    edited = ("definition", CONFIRMATION_FIELD)
    shown = ("key", "used_by")
    list_display = ("slug", "variable", "used_by")

    @admin.display(description="variable")
    def variable(self, credential: Credential) -> str:
        return ", ".join(credential.variable_names)

    @admin.display(description="key")
    def key(self, credential: Credential) -> str:
        """Return which variable holds the key, and whether this process has it."""
        if credential._state.adding:
            return "-"
        credential = Credential.objects.get(pk=credential.pk)  # not the values of a form
        if fault := credential.fault:
            return f"{fault} This is the environment of the console; that of the workers counts."
        unset = {name: credential.scheme.fault(name) for name in credential.key_names}
        lines = (unset[name] or f"The variable {name} is set here." for name in unset)
        return " ".join(lines)

    # Who may do what: the place of a key decides where it is sent, as the target of a vendor does.
    # Without that permission, keys can be added to a pool and retired.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and sending.may_change(request)

    def has_change_permission(self, request: HttpRequest, obj: Credential | None = None) -> bool:
        may_change_keys = request.user.has_perm("vendors.change_vendor_target")
        may_change = may_change_keys or sending.may_change(request)
        return super().has_change_permission(request, obj) and may_change

    def has_delete_permission(self, request: HttpRequest, obj: Credential | None = None) -> bool:
        return super().has_delete_permission(request, obj) and sending.may_change(request)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.may_send_credentials = sending.may_change(request)
        return form
