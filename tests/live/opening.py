"""Servers that are reached at another address than loopback, or over TLS."""

from dataclasses import replace

from checks.probes.tls import Tls
from tests import servers
from tests.certificates import Certificates
from tests.live.patients import Patient, without
from tests.live.spoiling import PASSWORD, store_password

TLS_PORT = 6380  # as the remediation has it


def protect(patient: Patient) -> None:
    """Let the server listen everywhere without a password, and come from elsewhere than loopback."""
    argv = without(list(patient.server.child.argv), {"--bind"})
    patient.server.stop()
    patient.server.child = replace(patient.server.child, argv=argv)
    patient.server.start()
    move_out(patient)


def move_out(patient: Patient) -> None:
    """Register the machine's own address."""
    patient.url = f"redis://{servers.own_address()}:{patient.server.port}"


def ask_for_password(patient: Patient) -> None:
    """Set it on the host itself, and store it in the pair."""
    patient.paste(f"CONFIG SET requirepass {PASSWORD}")
    store_password(patient)


def speak_plainly(patient: Patient) -> None:
    """Listen at the machine's own address too, with a password and without TLS."""
    admin = patient.admin()
    admin.config_set("bind", f"127.0.0.1 {servers.own_address()}")
    admin.config_set("requirepass", PASSWORD)
    store_password(patient)
    move_out(patient)


def give_certificate(patient: Patient) -> None:
    """Make one for the server, and set it."""
    certificates = Certificates.make(patient.server.folder)
    words = certificates.server_options()
    for option, value in zip(words[::2], words[1::2], strict=True):
        patient.admin().config_set(option.removeprefix("--"), value)
    patient.tls = Tls(ca_pem=certificates.ca.read_text(), server_name="localhost")


def use_tls(patient: Patient) -> None:
    """Register the TLS port, then close the plain one."""
    admin = patient.admin()
    patient.url = f"rediss://{servers.own_address()}:{TLS_PORT}"
    admin.config_set("port", 0)
