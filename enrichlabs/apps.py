from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class EnrichLabsConfig(AppConfig):
    name = "enrichlabs"
    verbose_name = "EnrichLabs"

    def ready(self) -> None:
        from enrichlabs import checks  # needs the models
        from users import roles

        checks.register_all()
        # After those of the last app with models, when all permissions have been made.
        post_migrate.connect(roles.create_missing, sender=apps.get_app_config("jobs"))
