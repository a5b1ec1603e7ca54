from django.apps import AppConfig


class EnrichLabsConfig(AppConfig):
    name = "enrichlabs"
    verbose_name = "EnrichLabs"

    def ready(self) -> None:
        from enrichlabs import checks  # needs the models

        checks.register_all()
