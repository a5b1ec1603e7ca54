"""Gives the jobs of the past that still wait their entries in Redis, as if it had run then."""

from typing import IO

from django.conf import settings

from enrichlabs.standalone import valkey
from enrichlabs.standalone.startup import StartupError, check_redis
from jobs.models import Job, Status
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.worker.supervisor import Supervisor

START_SECONDS = 30.0


def add(lock: IO[str]) -> None:
    """Add them, to an embedded Valkey that runs for this only. Raises StartupError."""
    with Supervisor() as supervisor:
        if settings.EMBEDS_VALKEY:
            said: list[str] = []  # of a start and an end that concern nobody
            program = valkey.program(lock.fileno())
            program.on_line = said.append
            supervisor.start(program)
            if not supervisor.wait_until(valkey.answers, START_SECONDS):
                raise StartupError("\n".join(["The embedded Valkey does not answer:", *said]))
        check_redis()
        pipeline = commands().pipeline(transaction=False)
        waiting = Job.objects.filter(status=Status.QUEUED).order_by("queued_at")
        for job_id, vendor, queued_at in waiting.values_list("pk", "vendor", "queued_at"):
            # An entry's id tells since when it waits.
            at = f"{int(queued_at.timestamp() * 1000)}-*"
            pipeline.xadd(Keys(vendor).jobs, {"v": "1", "job": job_id}, id=at)
        pipeline.execute()
