from django.db import migrations


class RemoveIndex(migrations.RemoveIndex):
    """Removes an index, unless that was done before the migration was interrupted."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        connection = schema_editor.connection
        if connection.vendor == "mongodb":
            table = from_state.apps.get_model(app_label, self.model_name)._meta.db_table
            if self.name not in connection.get_collection(table).index_information():
                return
        super().database_forwards(app_label, schema_editor, from_state, to_state)
