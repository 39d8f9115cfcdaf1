"""python -m tests.live.mail_worker BEGUN SPEED: routes, groups and sends, on a clock that runs faster."""

import sys
import time
from datetime import UTC, datetime

import django

django.setup()

from fleet.alerts import gather, route, send  # noqa: E402


def main(begun: float, speed: float) -> None:
    def clock() -> datetime:
        return datetime.fromtimestamp(begun + (time.time() - begun) * speed, UTC)

    while True:
        route.route(clock())
        gather.gather(clock())
        while send.send_one(clock):
            pass
        time.sleep(0.05)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
