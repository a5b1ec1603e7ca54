from django.db import migrations


class AddFields(migrations.operations.base.Operation):
    """Adds fields that have a default to a large table.

    Django's AddField writes all rows anew for each field. SQLite can add a column with a default
    without touching any row; MongoDB gets one update for all fields.
    """

    reversible = True

    def __init__(self, model_name, fields):
        self.model_name = model_name
        self.fields = fields

    def deconstruct(self):
        return "AddFields", [], {"model_name": self.model_name, "fields": self.fields}

    def state_forwards(self, app_label, state):
        for name, field in self.fields:
            state.add_field(app_label, self.model_name.lower(), name, field, True)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        model = to_state.apps.get_model(app_label, self.model_name)
        fields = [model._meta.get_field(name) for name, _ in self.fields]
        connection = schema_editor.connection
        if connection.vendor == "mongodb":
            defaults = {
                field.column: field.get_db_prep_save(field.get_default(), connection)
                for field in fields
            }
            # Those that a migration which was interrupted has not updated.
            missing = {fields[0].column: {"$exists": False}}
            collection = connection.get_collection(model._meta.db_table)
            collection.update_many(missing, {"$set": defaults})
            return
        for field in fields:
            if connection.vendor == "sqlite":
                schema_editor.execute(self._add_column(schema_editor, model, field))
            else:
                schema_editor.add_field(model, field)

    def _add_column(self, schema_editor, model, field):
        quote = schema_editor.quote_name
        definition, _ = schema_editor.column_sql(model, field)
        if not field.null:
            default = schema_editor.effective_default(field)
            definition += f" DEFAULT {schema_editor.quote_value(default)}"
        table = quote(model._meta.db_table)
        return f"ALTER TABLE {table} ADD COLUMN {quote(field.column)} {definition}"

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        model = from_state.apps.get_model(app_label, self.model_name)
        for name, _ in reversed(self.fields):
            schema_editor.remove_field(model, model._meta.get_field(name))

    def describe(self):
        return f"Add fields to {self.model_name}"
