"""The views of batches: post one, show it, list them, read the results, cancel or retry one."""

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from clients.scopes import Scope
from jobs.api.base import APIViewSet
from jobs.api.openapi import batch_operations


class BatchViewSet(APIViewSet):
    """Batches: post one, show it, list them, read the results, cancel or retry one."""

    scopes = {
        "create": (Scope.SUBMIT,),
        "retrieve": (Scope.READ,),
        "list": (Scope.READ,),
        "results": (Scope.READ,),
        "cancel": (Scope.MANAGE,),
        "retry": (Scope.MANAGE,),
    }

    @extend_schema(exclude=True)  # type: ignore[untyped-decorator]
    def create(self, request: Request) -> Response:
        raise NotImplementedError

    @batch_operations.retrieve
    def retrieve(self, request: Request, batch_id: str) -> Response:
        raise NotImplementedError

    @batch_operations.list_
    def list(self, request: Request) -> Response:
        raise NotImplementedError

    @batch_operations.results
    def results(self, request: Request, batch_id: str) -> HttpResponseBase:
        raise NotImplementedError

    @batch_operations.cancel
    def cancel(self, request: Request, batch_id: str) -> Response:
        raise NotImplementedError

    @batch_operations.retry
    def retry(self, request: Request, batch_id: str) -> Response:
        raise NotImplementedError
