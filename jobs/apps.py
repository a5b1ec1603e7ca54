from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from jobs.models.keys_in_use import keys_in_use
        from vendors.models import key_use

        key_use.ask(keys_in_use)
