from django.urls import path

from loadtest.bench.bare import views

urlpatterns = [
    path("empty", views.empty),
    path("jobs", views.post),
    path("jobs/<str:job_id>", views.show),
    path("naive", views.Jobs.as_view()),
]
