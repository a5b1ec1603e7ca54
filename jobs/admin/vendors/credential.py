"""Credentials: how vendors are shown who calls. The keys themselves are never shown."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.admin.vendors import field
from jobs.admin.vendors.confirmation import CONFIRMATION_FIELD, ConfirmingForm
from vendors import credentials
from vendors.catalogue import catalogue
from vendors.models import Credential, Vendor, faults_of_users, users_of

HELP = (
    'Where the key stands and which variable holds it: header = "X-Api-Key", query or body with a '
    'name, or basic = true; and keys_env = ["VENDOR_ACME_KEY"]. Or bearer_env = "VENDOR_ACME_KEY". '
    "Comments are not kept."
)


ELSEWHERE = {
    "credentials": "Paste only what stands in [credentials.NAME], without this line.",
    "vendors": "A vendor has a page of its own.",
}


class CredentialForm(ConfirmingForm):
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
            self._check_users(stored, cleaned)
        return cleaned

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
class CredentialAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    form = CredentialForm
    list_display = ("slug", "variable", "used_by")
    sortable_by = ()
    actions = None  # credentials are deleted one at a time: most are in use
    fieldsets = ((None, {"fields": ("slug", "definition", CONFIRMATION_FIELD, "key", "used_by")}),)

    class Media:
        css = {"all": ["jobs/console.css"]}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "Credentials", **(extra_context or {})})

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
        unset = {name: credential.scheme.fault(name) for name in credential.variable_names}
        lines = (unset[name] or f"The variable {name} is set here." for name in unset)
        return " ".join(lines)

    @admin.display(description="used by")
    def used_by(self, credential: Credential) -> str | SafeString:
        links = (
            (reverse("admin:vendors_vendor_change", args=[vendor.pk]), vendor)
            for vendor in catalogue.all().values()  # the list shows many credentials
            if vendor.definition.get("credential") == credential.slug
        )
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "no vendor"

    # Who may do what: a credential decides what is sent to vendors, as their target does.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and _may_change_targets(request)

    def has_change_permission(self, request: HttpRequest, obj: Credential | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_change_targets(request)

    def has_delete_permission(self, request: HttpRequest, obj: Credential | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_change_targets(request)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Credential | None = None
    ) -> tuple[str, ...]:
        return ("slug", "key", "used_by") if obj else ("key", "used_by")

    def get_fieldsets(self, request: HttpRequest, obj: Credential | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("slug", "definition")})]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ("slug", "shown_definition", "key", "used_by")})]
        return self.fieldsets

    @admin.display(description="definition")
    def shown_definition(self, credential: Credential) -> SafeString:
        return field.shown(credential.definition)

    # Saving

    def formfield_for_dbfield(
        self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "definition":
            return field.DefinitionField(
                label="Definition",
                help_text=HELP,
                elsewhere=ELSEWHERE,
                error_messages={"required": credentials.ONE_PLACE},
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(
        self, request: HttpRequest, obj: Credential | None = None, change: bool = False, **kw: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kw)
        if "definition" in form.base_fields:
            form.base_fields["definition"].show_hidden_initial = change
        return form

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:
        stored = Credential.objects.filter(pk=obj.pk).values("definition").first()
        form.old_definition = stored["definition"] if stored else {}
        obj.save(update_fields=form.changed_data if change else None)
        catalogue.forget()

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        if add:
            return super().construct_change_message(request, form, formsets, add)
        text = field.changed("definition", form.old_definition, form.instance.definition)
        return f"Changed {text}." if text else "No fields changed."

    # Deleting

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        credential = kwargs["obj"]
        context["show_delete"] = credential is not None and not users_of(credential)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        in_use = [reason for each in objs for reason in _in_use_reasons(each)]
        return found, counts, lacking, [*protected, *in_use]

    def delete_model(self, request: HttpRequest, obj: Credential) -> None:
        super().delete_model(request, obj)
        catalogue.forget()


def _may_change_targets(request: HttpRequest) -> bool:
    return request.user.has_perm("vendors.change_vendor_target")


def _in_use_reasons(credential: Credential) -> list[str]:
    """Return why the credential can't be deleted; [] if it can."""
    users: list[Vendor] = users_of(credential)
    return [f"Vendor {vendor} uses it. Name another credential there first." for vendor in users]
