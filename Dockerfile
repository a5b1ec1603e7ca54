# One image for every service: docker-compose.yml says which doors each opens (docs/containers.md).
ARG BASE=python:3.11-slim-bookworm
FROM $BASE

ENV PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=enrichlabs.settings \
    ENRICHLABS_DATA=/data \
    HOST=0.0.0.0 \
    PORT=8000

# A number, so that whoever asks for a user other than root can see that this is one.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data enrichlabs \
    && install --directory --owner=enrichlabs --group=enrichlabs --mode=700 /data

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . ./
# Compiled now, for that user can't keep what it compiles; and readable by it, whatever umask the files were checked out under.
RUN python -m compileall -q . && chmod -R go+rX .

USER 10001
EXPOSE 8000
# With HOST=0.0.0.0, 127.0.0.1 is always among ALLOWED_HOSTS. No urllib: it would ask the proxy that the environment names.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "\
import os; from http.client import HTTPConnection; \
connection = HTTPConnection('127.0.0.1', os.environ['PORT'], timeout=4); \
connection.request('GET', '/healthz'); \
exit(connection.getresponse().status != 200)"]
# The workers' life signs are files, and must not wait for a disk.
CMD ["sh", "-c", "exec gunicorn --config python:enrichlabs.gunicorn --worker-tmp-dir /dev/shm \
--bind \"$HOST:$PORT\" enrichlabs.wsgi"]
