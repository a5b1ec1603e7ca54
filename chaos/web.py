"""gunicorn workers of a campaign, for `--worker-class`."""

from chaos.limits.periods import shorten_all
from harness.gunicorn_workers import SmallChunksWorker


class CampaignWorker(SmallChunksWorker):
    """Commits uploads in small chunks; its quotas have periods of seconds."""

    def run(self) -> None:
        shorten_all()
        super().run()
