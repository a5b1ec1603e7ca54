"""Certificates for tests, made by openssl."""

import ssl
import subprocess
from pathlib import Path

COMMAND = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    "-subj /CN={name}.test -addext subjectAltName={subject} -keyout {key} -out {certificate}"
)


def make_certificate(folder: Path, name: str, subject: str = "IP:127.0.0.1") -> Path:
    """Return the file of a self-signed certificate; its key has the suffix .key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = COMMAND.format(name=name, subject=subject, key=key, certificate=certificate)
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context
