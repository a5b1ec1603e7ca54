"""Creates a peer's table and queues jobs: python -m loadtest.bench.peers NAME COUNT"""

import sys
from importlib import import_module

import django
from django.core.management import call_command


def main(name: str, count: int) -> None:
    django.setup()
    from loadtest.bench.peers.models import Job

    call_command("migrate", run_syncdb=True, verbosity=0)
    payload = {"name": "John Doe"}
    jobs = [Job(vendor="sync", name=payload["name"], input=payload) for _ in range(count)]
    Job.objects.bulk_create(jobs)
    import_module(f"loadtest.bench.peers.{name}").queue([(job.pk, payload) for job in jobs])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
