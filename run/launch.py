"""Start a program that ends with its parent, and as root under an unprivileged account if asked.

Runs between fork and the program itself: `python launch.py PARENT SIGNAL ACCOUNT program …`.
A small program of its own, because code that runs after a fork in a process with threads can deadlock.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

LIBC = ctypes.CDLL(None, use_errno=True)


class CapabilityHeader(ctypes.Structure):
    """The kernel's cap_user_header_t."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilityData(ctypes.Structure):
    """The kernel's cap_user_data_t."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def ending_with_us(
    argv: Sequence[str],
    death_signal: signal.Signals = signal.SIGKILL,
    account: tuple[int, int] | None = None,
) -> list[str]:
    """Give the command that runs argv as our child and sends it death_signal when we die, however we die.

    account is (user id, group id) to become first; only root can.
    """
    identity = f"{account[0]}:{account[1]}" if account else "-"
    launcher = [sys.executable, "-I", "-S", __file__]
    return [*launcher, str(os.getpid()), str(int(death_signal)), identity, *argv]


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when its parent ends. Not inherited by children."""
    _check(LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0))


def become(user_id: int, group_id: int) -> None:
    """Turn root into an ordinary account that can still pass through closed folders.

    PostgreSQL refuses to run as root, but the checkout may lie below a folder only root can
    enter, such as /root. Keeping CAP_DAC_OVERRIDE, and no other right, lets it reach its
    program and its data there, so no folder has to be opened to the world. SECBIT_NO_SETUID_FIXUP
    keeps the right across the change of user, and in access(2), which PostgreSQL asks about itself.
    """
    _check(LIBC.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    os.setgroups([])
    os.setresgid(group_id, group_id, group_id)
    os.setresuid(user_id, user_id, user_id)
    kept = 1 << CAP_DAC_OVERRIDE
    rights = (CapabilityData * 2)(CapabilityData(kept, kept, kept), CapabilityData(0, 0, 0))
    header = CapabilityHeader(CAPABILITY_VERSION_3, 0)
    _check(LIBC.capset(ctypes.byref(header), rights))
    _check(LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        error_number = ctypes.get_errno()
        raise OSError(error_number, os.strerror(error_number))


def main(arguments: Sequence[str]) -> None:
    """Become the account, tie ourselves to the parent, turn into the program.

    The tie comes after the change of account, which would clear it. A parent that
    died before the tie is noticed by its number.
    """
    parent_id, death_signal, identity, *argv = arguments
    if identity != "-":
        try:
            become(*(int(number) for number in identity.split(":")))
        except OSError as error:
            sys.exit(
                f"root may not become another account here ({error.strerror}): run as an ordinary user"
            )
    die_with_parent(signal.Signals(int(death_signal)))
    if os.getppid() != int(parent_id):
        sys.exit("the parent ended before its child began")
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(sys.argv[1:])
