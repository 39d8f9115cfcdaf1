"""Round trips from samples: which clock is believed."""

from checks.probes.stamps import Pings, Sample, measured

MS = 1_000_000
WALL = 1_795_295_341 * 1_000 * MS


def sample(kernel_ms=2.0, user_ms=3.0):
    """One PING that the kernel stamped and we read so many ms after sending."""
    stamp = WALL + int(kernel_ms * MS) if kernel_ms is not None else 0
    return Sample(WALL, 500 * MS, stamp, 500 * MS + int(user_ms * MS))


def test_the_kernel_is_believed_and_our_lag_is_known():
    assert measured([sample(2.0, 3.0), sample(2.5, 4.0)]) == Pings((2000, 2500), "kernel", 1250)


def test_samples_without_a_stamp_are_dropped():
    samples = [sample(None), sample(2.0), sample(2.1)]

    assert measured(samples) == Pings((2000, 2100), "kernel", 950)


def test_a_stepped_wall_clock_is_not_believed():
    back, forth = sample(-3_600_000.0), sample(3_600_000.0)

    assert measured([back, sample(2.0), sample(2.0), forth]).rtts_us == (2000, 2000)
    assert measured([back, forth, sample(2.0)]) == Pings((3000, 3000, 3000), "user", None)


def test_no_stamps_at_all_leave_the_user_clock():
    assert measured([sample(None, 0.08)], "NOAUTH") == Pings((80,), "user", None, "NOAUTH")


def test_no_samples():
    assert measured([]) == Pings((), "user", None)
