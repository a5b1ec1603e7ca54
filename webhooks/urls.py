from django.urls import path

from webhooks.views import account_callback, callback

urlpatterns = [
    path("<str:slug>", account_callback, name="account-callback"),
    path("<str:slug>/<uuid:request_id>", callback, name="callback"),
]
