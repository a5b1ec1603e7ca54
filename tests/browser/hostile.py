"""python -m tests.browser.hostile: writes text that is HTML into each field that a person, a client
or a vendor fills, and prints the ids of rows to visit, as JSON.
"""

import json
import os
import sys
from typing import Any

import django

PASSWORD = "correct horse battery staple"
MARKUP = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "enrichlabs.settings"
    django.setup()
    sys.stdout.write(json.dumps(spoil()))


def spoil() -> dict[str, str]:
    from audit.record import Actor, record
    from clients.models import ApiKey, Client
    from jobs.models import Attempt, Callback, Job
    from vendors.models import Vendor

    failed, edited = Job.objects.filter(status="failed", vendor="emails").order_by("-pk")[:2]
    complete = Job.objects.filter(status="complete", vendor="companies").order_by("-pk").first()
    queued = Job.new(vendor="vat", input={})
    queued.save(force_insert=True)
    found = {"failed": failed.pk, "complete": complete.pk, "queued": queued.pk}
    data = {"name": MARKUP, MARKUP: [MARKUP]}
    Job.objects.filter(pk__in=found.values()).update(
        name=MARKUP, reference=MARKUP, input=data, metadata={"note": MARKUP}, worker=MARKUP[:100]
    )
    Job.objects.filter(pk=failed.pk).update(error_message=MARKUP)
    Job.objects.filter(pk=complete.pk).update(result=data, vendor_reference=MARKUP)
    reply = {"status": 500, "headers": {"X-Hostile": MARKUP}, "body": MARKUP}
    Attempt.objects.filter(job=failed.pk).update(message=MARKUP, reply=reply, worker=MARKUP[:100])
    callback = Callback.objects.filter(job=complete.pk).first()
    Callback.objects.filter(pk=callback.pk).update(body=data, reason=MARKUP)
    client = Client.objects.get(slug="crm")
    Client.objects.filter(pk=client.pk).update(name=MARKUP, note=MARKUP)
    ApiKey.objects.filter(client=client).update(name=MARKUP)
    Vendor.objects.filter(slug="vat").update(pause_reason=MARKUP)
    changes: dict[str, list[Any]] = {MARKUP: [MARKUP, ""]}
    for target in ("vendor:vat", f"job:{failed.pk}"):
        record(Actor(MARKUP), "vendor.paused", target, changes, reason=MARKUP)
    return {
        **found,
        **new_rows(failed.pk),
        "edited": edited.pk,
        "callback": callback.pk,
        "vendor": Vendor.objects.get(slug="vat").pk,
        "client": client.pk,
        "api_key": ApiKey.objects.get(client=client).pk,
    }


def new_rows(job_id: str) -> dict[str, str]:
    from django.contrib.auth.models import Group, User
    from django.utils import timezone

    from jobs.models import Batch, BulkAction, Job
    from vendors.models import Credential, Limit

    batch = Batch.new("crm", reference=MARKUP)
    batch.save(force_insert=True)
    Job.objects.filter(pk=job_id).update(batch=batch.pk, batch_index=0)
    fields: dict[str, Any] = {"choice": {}, "skipped": {}, "planned": 3, "done": 3}
    bulk = BulkAction.objects.create(
        kind="retry",
        state="done",
        vendor="emails",
        reason=MARKUP,
        actor="olivia",
        started_at=timezone.now(),
        finished_at=timezone.now(),
        **fields,
    )
    header = {"header": "X-Api-Key", "keys_env": ["VENDOR_DEMO_KEY"]}
    credential = Credential.objects.create(slug="demo", definition=header)
    limit = Limit.objects.create(slug="demo", definition={"rate_limits": "10/s"})
    group = Group.objects.create(name=MARKUP)
    viewer = User.objects.get(username="victor")
    viewer.set_password(PASSWORD)
    viewer.save()
    return {
        "batch": batch.pk,
        "bulk": bulk.pk,
        "credential": credential.pk,
        "limit": limit.pk,
        "group": str(group.pk),
        "user": str(viewer.pk),
    }


if __name__ == "__main__":
    main()
