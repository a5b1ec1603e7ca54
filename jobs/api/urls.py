from django.urls import URLPattern, URLResolver, path

from jobs.api.batches.views import BatchViewSet
from jobs.api.vendors import VendorViewSet
from jobs.api.views import JobViewSet

urlpatterns: list[URLPattern | URLResolver] = [
    path("vendors", VendorViewSet.as_view({"get": "list"}), name="vendors"),
    path("jobs", JobViewSet.as_view({"get": "list", "post": "create"}), name="jobs"),
    path("jobs/<str:request_id>", JobViewSet.as_view({"get": "retrieve"}), name="job"),
    path("jobs/<str:request_id>/cancel", JobViewSet.as_view({"post": "cancel"}), name="job-cancel"),
    path("jobs/<str:request_id>/retry", JobViewSet.as_view({"post": "retry"}), name="job-retry"),
    path("batches", BatchViewSet.as_view({"get": "list", "post": "create"}), name="batches"),
    path("batches/<str:batch_id>", BatchViewSet.as_view({"get": "retrieve"}), name="batch"),
    path(
        "batches/<str:batch_id>/results",
        BatchViewSet.as_view({"get": "results"}),
        name="batch-results",
    ),
    path(
        "batches/<str:batch_id>/cancel",
        BatchViewSet.as_view({"post": "cancel"}),
        name="batch-cancel",
    ),
    path(
        "batches/<str:batch_id>/retry", BatchViewSet.as_view({"post": "retry"}), name="batch-retry"
    ),
]
