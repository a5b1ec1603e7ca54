"""Users and groups: who may change them could give himself everything, so that only superusers may."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest


class SuperusersOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes no type argument at run time
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


admin.site.unregister([User, Group])


@admin.register(User)
class OurUserAdmin(SuperusersOnly, UserAdmin):  # type: ignore[type-arg]
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        # With the password comes a link to reset it.
        hidden = () if self.has_change_permission(request) else ("password",)
        return [
            (
                title,
                {
                    **options,
                    "fields": [field for field in options["fields"] if field not in hidden],
                },
            )
            for title, options in super().get_fieldsets(request, obj)
        ]


@admin.register(Group)
class OurGroupAdmin(SuperusersOnly, GroupAdmin):
    pass
