"""Fake servers on loopback that misbehave as a test wants: the socket is faked, nothing else."""

import socket
import threading
import time
from contextlib import contextmanager


@contextmanager
def serving(talk, family=socket.AF_INET, address=("127.0.0.1", 0)):
    """Run talk(connection) in a thread for each connection; yield the port or path."""
    server = socket.socket(family)
    server.bind(address)
    server.listen(64)

    def attend(connection):
        with connection:
            try:
                talk(connection)
            except OSError:
                return  # the client left, as it should

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=attend, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        name = server.getsockname()
        yield name if family == socket.AF_UNIX else name[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@contextmanager
def shut_port():
    """Yield a port that refuses connections at every loopback address, and that nobody else can get.

    One that was listened on and closed might be anybody's by the time it is called.
    """
    with socket.socket() as kept:
        kept.bind(("0.0.0.0", 0))
        yield kept.getsockname()[1]


def saying(answer, *, then_wait=True):
    """Answer the first bytes with these, whatever they were."""

    def talk(connection):
        connection.recv(65536)
        connection.sendall(answer)
        while then_wait and connection.recv(65536):
            pass

    return talk


def ponging(connection, delay_s=0.0):
    while connection.recv(65536):
        time.sleep(delay_s)
        connection.sendall(b"+PONG\r\n")
