from django.urls import path

from webhooks.views import callback

urlpatterns = [path("<str:slug>/<uuid:request_id>", callback, name="callback")]
