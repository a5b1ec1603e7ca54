"""Users and groups. Only superusers may change them: others could grant themselves permissions."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

HISTORY_TEMPLATE = "admin/jobs/object_history.html"


class SuperusersOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    object_history_template = HISTORY_TEMPLATE

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


admin.site.unregister([User, Group])


@admin.register(User)
class ConsoleUserAdmin(SuperusersOnly, UserAdmin):  # type: ignore[type-arg]
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if self.has_change_permission(request):
            return fieldsets
        # Without the password, which comes with a link to reset it.
        return [
            (title, {**options, "fields": [it for it in options["fields"] if it != "password"]})
            for title, options in fieldsets
        ]


@admin.register(Group)
class ConsoleGroupAdmin(SuperusersOnly, GroupAdmin):
    pass
