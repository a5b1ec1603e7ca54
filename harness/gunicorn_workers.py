"""gunicorn workers with other limits, for `--worker-class`."""

from enrichlabs.http import connection, gunicorn_worker


class HastyWorker(gunicorn_worker.HTTPWorker):
    def run(self) -> None:
        from enrichlabs.http import reader, upload

        connection.RESPONSE_TIMEOUT_SECONDS = 0.5
        connection.STREAM_TIMEOUT_SECONDS = 3.0
        upload.IDLE_TIMEOUT_SECONDS = 0.5
        upload.TOTAL_TIMEOUT_SECONDS = 2.0
        reader.MAX_WAITING_BYTES = 350_000
        super().run()


class PatientWorker(gunicorn_worker.HTTPWorker):
    """Refuses no request for having waited in the queue, as happens on a busy machine."""

    def run(self) -> None:
        from enrichlabs.http import overload

        overload.MAX_WAIT_SECONDS = 60.0
        super().run()


class SmallChunksWorker(gunicorn_worker.HTTPWorker):
    """Commits an upload in many small chunks, so that a small one has as many seams as a large."""

    def run(self) -> None:
        from jobs.api.batches.posting import upload

        upload.CHUNK_ITEMS = 10
        super().run()
