import vendors.fields
import vendors.models.ids
from django.db import migrations, models

from jobs.migrations._add_fields import AddFields


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0005_credentials'),
    ]

    operations = [
        migrations.CreateModel(
            name='BulkAction',
            fields=[
                ('id', models.CharField(db_column='_id', default=vendors.models.ids.new_id, editable=False, max_length=36, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=10)),
                ('state', models.CharField(choices=[('running', 'Running'), ('paused', 'Paused'), ('cancelled', 'Cancelled'), ('done', 'Done')], default='running', max_length=10)),
                ('choice', vendors.fields.JSONTextField()),
                ('vendor', models.CharField(max_length=50)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('actor', models.CharField(max_length=150)),
                ('per_second', models.FloatField(null=True)),
                ('repeats_unknown', models.BooleanField(default=False)),
                ('planned', models.PositiveIntegerField()),
                ('planned_is_bound', models.BooleanField(default=False)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('cursor', models.CharField(blank=True, max_length=36)),
                ('done', models.PositiveIntegerField(default=0)),
                ('skipped', vendors.fields.JSONTextField()),
                ('per_minute', models.FloatField(null=True)),
                ('held_by', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'permissions': [('run_bulkaction', 'Can retry or cancel all jobs that match a filter')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('id', models.CharField(db_column='_id', editable=False, max_length=120, primary_key=True, serialize=False)),
                ('vendor', models.CharField(blank=True, max_length=50)),
                ('span', models.CharField(choices=[('part', 'Part'), ('minute', 'Minute'), ('hour', 'Hour'), ('day', 'Day')], max_length=6)),
                ('at', models.DateTimeField()),
                ('process', models.CharField(blank=True, max_length=20)),
                ('counts', vendors.fields.JSONTextField()),
            ],
            options={
                'verbose_name_plural': 'tallies',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='TallyMark',
            fields=[
                ('id', models.CharField(db_column='_id', max_length=6, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('counts', vendors.fields.JSONTextField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='callback',
            options={'default_permissions': ('view',), 'permissions': [('apply_callback', 'Can apply stored callbacks again')]},
        ),
        migrations.AlterModelOptions(
            name='job',
            options={'default_permissions': ('view',), 'permissions': [('retry_job', 'Can retry jobs'), ('cancel_job', 'Can cancel jobs'), ('edit_job', 'Can edit the input of a job and retry it'), ('view_personal_data', 'Can see names, inputs, results and what vendors answered'), ('manage_workers', 'Can drain and stop workers')]},
        ),
        AddFields("Job", [("bulk", models.CharField(blank=True, default="", max_length=36))]),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('bulk__gt', '')), fields=['bulk', 'id'], name='job_bulk'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('error_code__gt', '')), fields=['error_code', 'vendor', 'id'], name='job_error'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('error_code__gt', '')), fields=['error_code', 'id'], name='job_error_newest'),
        ),
        migrations.AddIndex(
            model_name='bulkaction',
            index=models.Index(fields=['finished_at', 'id'], name='bulk_open'),
        ),
        migrations.AddIndex(
            model_name='bulkaction',
            index=models.Index(fields=['vendor', 'id'], name='bulk_vendor'),
        ),
        migrations.AddIndex(
            model_name='tally',
            index=models.Index(fields=['span', 'at', 'vendor'], name='tally_at'),
        ),
        migrations.AddIndex(
            model_name='tally',
            index=models.Index(fields=['vendor', 'span', 'at'], name='tally_of_vendor'),
        ),
    ]
