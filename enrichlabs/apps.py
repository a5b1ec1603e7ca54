from django.apps import AppConfig


class EnrichLabsConfig(AppConfig):
    name = "enrichlabs"
    verbose_name = "EnrichLabs"

    def ready(self) -> None:
        # Not before: they look at models.
        from enrichlabs import checks

        checks.register_all()
