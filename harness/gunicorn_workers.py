"""The worker with less patience, and with more."""

from enrichlabs.http import connection, gunicorn_worker


class HastyWorker(gunicorn_worker.HTTPWorker):
    def run(self):
        from enrichlabs.http import reader

        connection.RESPONSE_TIMEOUT_SECONDS = 0.5
        reader.MAX_WAITING_BYTES = 350_000
        super().run()


class PatientWorker(gunicorn_worker.HTTPWorker):
    """One that refuses nothing for having waited, as a request does whose forerunners take long on
    a busy machine.
    """

    def run(self):
        from enrichlabs.http import overload

        overload.MAX_WAIT_SECONDS = 60.0
        super().run()
