"""What do the PINGs of one visit add up to? Their spread, and the path's own share."""

import math
from statistics import median
from typing import Final

from checks.facts import Missing, RoundTrips
from checks.probes.stamps import UNKNOWN_RTT_US, Pings
from checks.probes.wire import Wire


def round_trips(pings: Pings, wire: Wire) -> RoundTrips:
    """Sum up the samples: least, median, p95 (nearest rank), most, and the path's own share."""
    ordered = sorted(pings.rtts_us)
    info = wire.tcp_info()
    paths_us: list[float] = [wire.connect_us]
    if info is not None and 0 < info.min_rtt_us < UNKNOWN_RTT_US:
        paths_us.append(info.min_rtt_us)
    lag_us = pings.probe_lag_us
    return RoundTrips(
        count=len(ordered),
        min_us=ordered[0],
        median_us=median(ordered),
        p95_us=ordered[math.ceil(0.95 * len(ordered)) - 1],
        max_us=ordered[-1],
        clock=pings.clock,
        probe_lag_us=NO_STAMPS if lag_us is None else lag_us,
        network_us=min(paths_us),
        connect_us=wire.connect_us,
        retransmits=NO_TCP if info is None else info.retransmits,
    )


NO_STAMPS: Final = Missing("undetermined", "the kernel gave no receive stamps")
NO_TCP: Final = Missing("not_applicable", "a unix socket has no TCP figures")
