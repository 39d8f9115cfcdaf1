"""When a pair is due next: instants of its own, so that a fleet spreads evenly by itself.

A pair's visits fall on phase + n × interval. The next due time is the first such instant that is at
least half an interval ahead: a visit on time is followed by the next instant, a late one by at most
one and a half intervals, and thousands that were due at once spread over one interval. Cadences
whose intervals divide each other fall together and ride one connection.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# Phases of neighbouring ids differ by this much. Modulo one minute and modulo five it is close to a
# golden section, whose multiples fill a circle evenly however many there are (Knuth, TAOCP 3, 6.4).
PHASE_STEP_MS: Final = 2_617_081
WEEK_MS: Final = 7 * 86_400_000
REPROBE: Final = timedelta(seconds=10)
SETTLES: Final = timedelta(seconds=60)  # nothing is judged in EmailEngine's first minute


# Marks: id, the target's id; now, Unix time in ms; every, the interval in ms. All bigint.
_LEAST: Final = "({now} + {every} / 2)"
_PHASE: Final = f"mod({{id}} * {PHASE_STEP_MS}, {WEEK_MS})"
_TO_GO: Final = f"mod(mod({_PHASE} - {_LEAST}, {{every}}) + {{every}}, {{every}})"
NEXT_DUE: Final = f"to_timestamp(({_LEAST} + {_TO_GO}) / 1000.0)"
