"""Pages of what vendors share: credentials and limits. A row is a slug and a definition."""

from typing import Any

from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.admin.vendors import field
from jobs.admin.vendors.trail import TrailAdmin
from vendors.catalogue import catalogue
from vendors.loading.trail import differences
from vendors.models import Credential, Limit, users_of, uses

Shared = Credential | Limit


class SharedAdmin(TrailAdmin):
    """A page with the definition as TOML. Subclasses say what else it shows.

    `shown` are the names of fields that are only shown; `edited` are those below the slug.
    """

    heading: str
    definition_options: dict[str, Any]
    edited: tuple[str, ...] = ("definition",)
    shown: tuple[str, ...] = ("used_by",)
    sortable_by = ()
    actions = None  # they are deleted one at a time: most are in use

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": self.heading, **(extra_context or {})})

    @admin.display(description="used by")
    def used_by(self, row: Shared) -> str | SafeString:
        links = (
            (reverse("admin:vendors_vendor_change", args=[vendor.pk]), vendor)
            for vendor in catalogue.all().values()  # the list shows many rows
            if uses(vendor, row)
        )
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "no vendor"

    @admin.display(description="definition")
    def shown_definition(self, row: Shared) -> SafeString:
        return field.shown(row.definition)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug", *self.shown) if obj else self.shown

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            names: tuple[str, ...] = ("slug", "definition")
        elif self.has_change_permission(request, obj):
            names = ("slug", *self.shown, *self.edited)
        else:
            names = ("slug", *self.shown, "shown_definition")
        return [(None, {"fields": names})]

    # Saving

    def formfield_for_dbfield(
        self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "definition":
            return field.DefinitionField(label="Definition", **self.definition_options)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "definition" in form.base_fields:
            form.base_fields["definition"].show_hidden_initial = change
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = self.model._default_manager.filter(pk=obj.pk).values("definition").first()
        form.old_definition = stored["definition"] if stored else {}
        obj.save(update_fields=form.changed_data if change else None)
        catalogue.forget()

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        if add:
            return super().construct_change_message(request, form, formsets, add)
        old, new = form.old_definition, form.instance.definition
        return differences({"definition": old}, {"definition": new})

    # Deleting

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs["obj"]
        context["show_delete"] = row is not None and not users_of(row)
        if row is not None:
            context |= {"title": row.slug, "subtitle": None}
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        in_use = [reason for row in objs for reason in _in_use_reasons(row)]
        return found, counts, lacking, [*protected, *in_use]

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        catalogue.forget()


def _in_use_reasons(row: Shared) -> list[str]:
    """Return why it can't be deleted; [] if it can."""
    remedy = (
        "Remove it from that vendor's `limits` first."
        if isinstance(row, Limit)
        else "Name another credential there first."
    )
    return [f"Vendor {vendor} uses it. {remedy}" for vendor in users_of(row)]
