import datetime
from django.db import migrations, models

from jobs.migrations._add_fields import AddFields


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0003_batches'),
    ]

    operations = [
        AddFields(
            "Attempt",
            [
                ("cost", models.FloatField(null=True)),
                ("confidence", models.FloatField(null=True)),
                ("vendor_reference", models.CharField(blank=True, default="", max_length=255)),
            ],
        ),
        AddFields(
            "Callback",
            [("vendor_reference", models.CharField(blank=True, default="", max_length=255))],
        ),
        AddFields(
            "Job",
            [
                ("vendor_reference", models.CharField(blank=True, default="", max_length=255)),
                ("next_poll_at", models.DateTimeField(null=True)),
                ("outcome", models.CharField(blank=True, default="", max_length=10)),
            ],
        ),
        migrations.AlterField(
            model_name='callback',
            name='job',
            field=models.CharField(blank=True, max_length=36),
        ),
        migrations.AlterField(
            model_name='callback',
            name='verdict',
            field=models.CharField(blank=True, choices=[('applied', 'Applied'), ('polled', 'Polled'), ('late', 'Late'), ('unmatched', 'Unmatched'), ('refused', 'Refused'), ('unreadable', 'Unreadable')], default='', max_length=10),
        ),
        migrations.AlterField(
            model_name='job',
            name='stream',
            field=models.CharField(choices=[('jobs', 'Jobs'), ('retries', 'Retries'), ('polls', 'Polls')], default='jobs', max_length=7),
        ),
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(condition=models.Q(('vendor_reference__gt', '')), fields=['vendor', 'vendor_reference'], name='attempt_vendor_reference'),
        ),
        migrations.AddIndex(
            model_name='callback',
            index=models.Index(condition=models.Q(('vendor_reference__gt', '')), fields=['vendor', 'vendor_reference'], name='callback_vendor_reference'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('next_poll_at__gt', datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc))), fields=['vendor', 'next_poll_at'], name='job_next_poll'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('vendor_reference__gt', '')), fields=['vendor', 'vendor_reference'], name='job_vendor_reference'),
        ),
    ]
