import jobs.fields
import vendors.models
from django.db import migrations, models

from jobs.migrations._add_fields import AddFields


class Migration(migrations.Migration):

    dependencies = [("jobs", "0002_clients")]

    operations = [
        AddFields(
            "Job",
            [
                ("batch", models.CharField(blank=True, default="", max_length=36)),
                ("batch_index", models.PositiveIntegerField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.CharField(db_column='_id', default=vendors.models.new_id, editable=False, max_length=36, primary_key=True, serialize=False)),
                ('client', models.CharField(default='default', max_length=50)),
                ('reference', models.CharField(blank=True, default='', max_length=255)),
                ('idempotency_key', models.CharField(max_length=255, null=True)),
                ('state', models.CharField(choices=[('receiving', 'Receiving'), ('running', 'Running'), ('finished', 'Finished')], default='receiving', max_length=9)),
                ('revision', models.PositiveIntegerField(default=1)),
                ('cut_short', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField()),
                ('received_at', models.DateTimeField()),
                ('sealed_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('cancel_requested_at', models.DateTimeField(null=True)),
                ('retry_requested_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name_plural': 'batches',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='RefusedItem',
            fields=[
                ('id', models.CharField(db_column='_id', editable=False, max_length=50, primary_key=True, serialize=False)),
                ('batch', models.CharField(max_length=36)),
                ('batch_index', models.PositiveIntegerField()),
                ('fingerprint', models.CharField(blank=True, default='', max_length=64)),
                ('status', models.PositiveIntegerField()),
                ('code', models.CharField(max_length=50)),
                ('detail', models.CharField(max_length=500)),
                ('errors', jobs.fields.JSONTextField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('batch__gt', '')), fields=['batch', 'status', 'vendor', 'finished_at'], name='job_batch_status'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('batch__gt', '')), fields=['batch', 'batch_index'], name='job_batch_index'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.UniqueConstraint(condition=models.Q(('batch__gt', '')), fields=('batch', 'batch_index'), name='job_batch_index_unique'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['client', 'id'], name='batch_client_newest'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['client', 'state', 'id'], name='batch_client_state'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(fields=['state', 'id'], name='batch_state'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(condition=models.Q(('reference__gt', '')), fields=['client', 'reference', 'id'], name='batch_reference'),
        ),
        migrations.AddIndex(
            model_name='batch',
            index=models.Index(condition=models.Q(('idempotency_key__gt', '')), fields=['client', 'idempotency_key'], name='batch_idempotency_key'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key__gt', '')), fields=('client', 'idempotency_key'), name='batch_idempotency_key_unique'),
        ),
    ]
