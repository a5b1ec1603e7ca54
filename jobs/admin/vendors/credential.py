"""Credentials: how vendors are shown who calls. The keys themselves are never shown."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from jobs.admin.vendors import sending
from jobs.admin.vendors.confirmation import CONFIRMATION_FIELD, ConfirmingForm
from jobs.admin.vendors.keys import KeysAdmin
from jobs.admin.vendors.page.pausing import paused_keys
from vendors import credentials
from vendors.models import Credential, faults_of_users, users_of

EXAMPLES = (
    """\
header = "X-Api-Key"  # a pool of keys
keys_env = ["VENDOR_ACME_KEY_1", "VENDOR_ACME_KEY_2"]
retired_env = ["VENDOR_ACME_KEY_0"]
""",
    """\
[oauth2]  # OAuth2 client credentials
token_url = "https://api.acme.example/oauth/token"
id_env = "VENDOR_ACME_ID"
secret_env = "VENDOR_ACME_SECRET"
""",
    """\
[login]  # a request that returns a token
url = "POST https://api.acme.example/login"
json_env = { user = "VENDOR_ACME_USER", password = "VENDOR_ACME_PASSWORD" }
token = "body.data.token"
life = "1h"
""",
    """\
header = "X-Api-Key"
keys_env = ["VENDOR_ACME_KEY"]

[sign]  # signs each request
hmac = "sha256"
header = "X-Signature"
signed = "{t}{method}{path}{body}"
timestamp_header = "X-Timestamp"
secret_env = "VENDOR_ACME_SECRET"
""",
)
HELP = format_html(
    "{}<details><summary>Examples</summary>{}</details>",
    'Where the key stands and which variable holds it: header = "X-Api-Key", query or body with a '
    'name, or basic = true; and keys_env = ["VENDOR_ACME_KEY"]. Or bearer_env = "VENDOR_ACME_KEY". '
    "With several keys, each call is made with the one that has most room; those in retired_env "
    "are used for polls alone. Comments are not kept.",
    format_html_join("", "<pre>{}</pre>", ((example,) for example in EXAMPLES)),
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
        label="Confirm variables",
        help_text="Only if you change the definition of a credential in use: "
        "type the names of all its variables again, separated by spaces.",
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
class CredentialAdmin(KeysAdmin):
    form = CredentialForm
    heading = "Credentials"
    definition_options = {
        "help_text": HELP,
        "rows": 10,
        "elsewhere": ELSEWHERE,
        "error_messages": {"required": credentials.ONE_PLACE},
    }
    edited = ("definition", CONFIRMATION_FIELD)
    shown = ("keys", "used_by")
    list_display = ("slug", "variables", "paused", "used_by")

    @admin.display
    def variables(self, credential: Credential) -> str:
        return ", ".join(credential.variable_names)

    @admin.display(description="paused keys")
    def paused(self, credential: Credential) -> str:
        return ", ".join(row.name for row in paused_keys(credential)) or "-"

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
