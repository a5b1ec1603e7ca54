"""A plain index beside the unique one: MongoDB can't look a user up by the index of a unique field (docs/decisions/0002-mongodb.md)."""

from django.db import migrations, models

USERNAME = models.Index(fields=["username"], name="auth_user_username")


def add(apps, schema_editor):
    schema_editor.add_index(apps.get_model("auth", "User"), USERNAME)


def remove(apps, schema_editor):
    schema_editor.remove_index(apps.get_model("auth", "User"), USERNAME)


class Migration(migrations.Migration):
    dependencies = [("auth", "0001_initial")]
    # Not AddIndex, which would make Django think that its own model had changed.
    operations = [migrations.RunPython(add, remove)]
