"""Adds a plain index beside the unique one, with which MongoDB can't look up a user
(docs/decisions/0002-mongodb.md).
"""

from django.db import migrations, models

USERNAME = models.Index(fields=["username"], name="auth_user_username")


def add(apps, schema_editor):
    schema_editor.add_index(apps.get_model("auth", "User"), USERNAME)


def remove(apps, schema_editor):
    schema_editor.remove_index(apps.get_model("auth", "User"), USERNAME)


class Migration(migrations.Migration):
    dependencies = [("auth", "0001_initial")]
    # Not AddIndex, which would change the state of Django's own model.
    operations = [migrations.RunPython(add, remove)]
