"""A hub behind TLS that asks members for certificates."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.members import Work, end, free_port


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.file = folder / "ca.pem"
        own = self._signed(self.name, self.key.public_key(), authority=True)
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def _signed(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        issuer_key = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key; the first file holds both."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key.public_key(), authority=False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        both, alone = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        both.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        alone.write_bytes(private)
        return both, alone


def _wait(work: Work, process: subprocess.Popen[bytes], authority: Authority, cert: Path) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(str(cert))
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, (work.folder / "hub.log").read_text()
        assert time.monotonic() < deadline, "the hub did not start"
        try:
            with (
                socket.create_connection(("127.0.0.1", work.port), 5) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                return
        except OSError:
            time.sleep(0.1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[tuple[Work, str]]:
    made = Work(tmp_path, free_port())
    authority = Authority(tmp_path)
    server, server_key = authority.issue("server")
    member, _ = authority.issue("member")
    made.run("none", "hub", "init", "--data", "hub")
    made.token("lab")
    made.run("lab", "init", "--organisation", "Lab", "--key-file")
    words = ("collection", "add", "Circle", "--owner", "lab", "--data", "hub")
    collection = made.json("none", "hub", *words)["id"]
    tls = ("--tls-cert", str(server), "--tls-key", str(server_key))
    asks = ("--tls-client-ca", str(authority.file))
    with (tmp_path / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            made.command("hub", "serve", "--data", "hub", "--port", str(made.port), *tls, *asks),
            cwd=tmp_path,
            env=made.environment("none"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(made, process, authority, member)
        yield made, collection
    finally:
        end(process)


def test_certificates_on_both_sides(work: tuple[Work, str]) -> None:
    made, collection = work
    hub = ("--hub", made.api_root.replace("http:", "https:"), "--collection", collection)
    create = ("channel", "create", "circle", *hub, "--token-file", "lab.token")
    assert "not trusted" in made.run("lab", *create, code=7)
    trust = ("--ca-file", "ca.pem")
    made.run("lab", *create, *trust, code=7)
    made.run("lab", *create, *trust, "--client-cert", "member.pem")
    # Both files are remembered with the account.
    (pulled,) = made.json("lab", "pull")["channels"]
    assert pulled["problem"] is None
