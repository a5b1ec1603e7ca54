"""Users and groups. Only superusers may change them: others could grant themselves permissions."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.admin.accounts.recording import RecordedAdmin
from jobs.admin.formats import counted, moment
from users import sessions


class SuperusersOnly(RecordedAdmin):
    # Boxes to tick, which all can use: Django's two lists need a script and a mouse.
    filter_horizontal = ()
    formfield_overrides = {ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


admin.site.unregister([User, Group])


@admin.register(User)
class ConsoleUserAdmin(SuperusersOnly, UserAdmin):  # type: ignore[type-arg]
    kind = "user"
    list_display = ("username", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("username",)
    show_facets = admin.ShowFacets.NEVER
    actions = ("end_sessions",)
    readonly_fields = ("last_login", "date_joined", "signed_in")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.is_staff = True  # without which nobody may log in
        super().save_model(request, obj, form, change)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        if self.has_change_permission(request):
            return [*fieldsets, ("Sessions", {"fields": ("signed_in",)})]
        # Without the password, which comes with a link to reset it.
        return [
            (title, {**options, "fields": [it for it in options["fields"] if it != "password"]})
            for title, options in fieldsets
        ]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":  # a few roles
            kwargs["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "is_staff":
            field.label = "May log in to the console"
            field.help_text = "What the user may do there, the groups say."
        return field

    @admin.display(description="Signed in")
    def signed_in(self, user: User) -> str | SafeString:
        """Where the user is signed in. The list of users has an action that ends the sessions."""
        found = sessions.of_user(str(user.pk), timezone.now())
        lines = (
            (moment(it.started_at), it.address or "an unknown address", moment(it.ends_at))
            for it in found
        )
        return format_html_join("", "<div>since {}, from {}, until {}</div>", lines) or "nowhere"

    @admin.action(permissions=["change"], description="End the sessions of selected users")
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = 0
        for user in queryset:
            ended += sessions.end_all(str(user.pk))
            self.record(request, user, "sessions_ended")
        self.message_user(request, f"{counted(ended, 'session')} ended.", messages.SUCCESS)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            user = self.get_object(request, id)
            if user is not None:
                self.record(request, user, "password_changed")
        return response


@admin.register(Group)
class ConsoleGroupAdmin(SuperusersOnly, GroupAdmin):
    kind = "group"
