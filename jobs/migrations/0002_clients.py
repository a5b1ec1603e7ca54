import jobs.fields
from django.db import migrations, models

from jobs.migrations._add_fields import AddFields


class Migration(migrations.Migration):

    dependencies = [("jobs", "0001_initial")]

    operations = [
        AddFields(
            "Job",
            [
                ("client", models.CharField(default="default", max_length=50)),
                ("reference", models.CharField(blank=True, default="", max_length=255)),
                ("metadata", jobs.fields.JSONTextField(null=True)),
                ("idempotency_key", models.CharField(max_length=255, null=True)),
                ("fingerprint", models.CharField(blank=True, default="", max_length=64)),
                ("expires_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AlterField(
            model_name="job", name="name", field=models.CharField(blank=True, max_length=200)
        ),
        migrations.AddIndex(
            "Job", models.Index(fields=["client", "id"], name="job_client_newest")
        ),
        migrations.AddIndex(
            "Job", models.Index(fields=["client", "status", "id"], name="job_client_status")
        ),
        migrations.AddIndex(
            "Job", models.Index(fields=["client", "vendor", "id"], name="job_client_vendor")
        ),
        migrations.AddIndex(
            "Job",
            models.Index(
                fields=["client", "reference", "id"],
                name="job_reference",
                condition=models.Q(reference__gt=""),
            ),
        ),
        migrations.AddIndex(
            "Job",
            models.Index(
                fields=["client", "idempotency_key"],
                name="job_idempotency_key",
                condition=models.Q(idempotency_key__gt=""),
            ),
        ),
        migrations.AddConstraint(
            "Job",
            models.UniqueConstraint(
                fields=["client", "idempotency_key"],
                name="job_idempotency_key_unique",
                condition=models.Q(idempotency_key__gt=""),
            ),
        ),
    ]
