"""The worker with less patience, for tests of what happens when it has run out."""

from enrichlabs import gunicorn_worker

gunicorn_worker.ANSWER_SECONDS = 0.5
gunicorn_worker.MAX_WAITING_BYTES = 350_000


class HastyWorker(gunicorn_worker.HTTPWorker):
    pass
