from django.urls import path

from webhooks.views import receive

urlpatterns = [path("<str:slug>/<uuid:request_id>", receive, name="callback")]
