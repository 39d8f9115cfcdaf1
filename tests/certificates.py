"""A throwaway certificate authority and one server certificate, for tests of TLS."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Where the files lie."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, names: tuple[str, ...] = ("localhost",)) -> "Certificates":
        """Write a CA and a certificate for 127.0.0.1 and the names, valid from yesterday to tomorrow."""
        made = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca_name, name = _name("Throwaway test CA"), _name("127.0.0.1")
        ca = _builder(ca_name, ca_name, ca_key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        hosts = [x509.IPAddress(ip_address("127.0.0.1")), *(x509.DNSName(host) for host in names)]
        leaf = _builder(name, ca_name, key).add_extension(
            x509.SubjectAlternativeName(hosts), critical=False
        )
        made.ca.write_bytes(_signed(ca, ca_key))
        made.certificate.write_bytes(_signed(leaf, ca_key))
        made.key.write_bytes(_private(key))
        return made

    def server_options(self) -> list[str]:
        """Give the words that make redis-server use them and ask for no client certificate."""
        files = {"cert": self.certificate, "key": self.key, "ca-cert": self.ca}
        words = [word for name, path in files.items() for word in (f"--tls-{name}-file", str(path))]
        return [*words, "--tls-auth-clients", "no"]


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
