"""The vendors that a client may use, and the input that each requires."""

from rest_framework.request import Request
from rest_framework.response import Response

from clients.scopes import Scope
from jobs.api.base import APIViewSet
from jobs.api.openapi import operations
from vendors.catalogue import catalogue


class VendorViewSet(APIViewSet):
    scopes = {"list": (Scope.SUBMIT, Scope.READ)}

    @operations.list_vendors
    def list(self, request: Request) -> Response:
        usable = [
            vendor
            for slug, vendor in sorted(catalogue.all().items())
            if request.user.may_use(slug)  # type: ignore[union-attr]  # a Caller
        ]
        items = [
            {
                "slug": vendor.slug,
                "enabled": vendor.enabled,
                "required_input": list(vendor.required_fields),
            }
            for vendor in usable
        ]
        return Response({"items": items})
