import datetime

from django.db import migrations, models

from jobs.migrations._add_fields import AddFields
from jobs.migrations._remove_index import RemoveIndex


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0004_polls'),
    ]

    operations = [
        AddFields(
            "Attempt",
            [
                ("units", models.PositiveIntegerField(default=1)),
                ("limits", models.TextField(blank=True, default="")),
                ("credential", models.CharField(blank=True, default="", max_length=100)),
            ],
        ),
        AddFields("Job", [("credential", models.CharField(blank=True, default="", max_length=100))]),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('next_poll_at__gt', datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))), fields=['vendor', 'credential', 'next_poll_at'], name='job_next_poll_of_key'),
        ),
        RemoveIndex(model_name='job', name='job_next_poll'),
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=models.Q(('limits__gt', '')), fields=['started_at', 'vendor'], name='attempt_limited'),
        ),
    ]
