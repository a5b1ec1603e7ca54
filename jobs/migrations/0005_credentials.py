from django.db import migrations, models

from jobs.migrations._add_fields import AddFields


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
            model_name='attempt',
            index=models.Index(condition=models.Q(('limits__gt', '')), fields=['started_at'], name='attempt_limited'),
        ),
    ]
