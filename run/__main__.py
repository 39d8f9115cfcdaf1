"""python -m run: everything Pairkeeper needs, started in order, until Ctrl-C."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from run import portal
from run.children import RunError
from run.folders import CHECKOUT, Folders, empty, find_folders, hold, holder
from run.installation import environment, prepare, services
from run.launch import die_with_parent
from run.supervisor import StopRequested, Supervisor, heed_signals, ignore_signals, say, timed


def main(arguments: Sequence[str]) -> int:
    """Run until stopped: 0 after a stop signal, 1 with a sentence on standard error after a fault."""
    options = parse(arguments)
    heed_signals()
    if options.end_with_parent:
        die_with_parent(signal.SIGTERM)
    os.umask(0o077)
    try:
        os.chdir(CHECKOUT)
        choose(options)(find_folders(), options)
    except StopRequested:
        say("Stopped.")
    except RunError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m run", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="also start the demo fleet")
    parser.add_argument(
        "--services-only", action="store_true", help="start only the database and the broker"
    )
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the calling process ends"
    )
    parser.add_argument(
        "--manage",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="run one management command on this installation, started or not, and end",
    )
    return parser.parse_args(arguments)


def choose(options: argparse.Namespace) -> Callable[[Folders, argparse.Namespace], None]:
    """Pick what was asked for."""
    if options.manage:
        return run_command
    return serve_services if options.services_only else serve_portal


@contextmanager
def supervised(folders: Folders) -> Iterator[Supervisor]:
    """Hold the installation, give a supervisor, and stop its children however the block ends."""
    lock = hold(folders.home)
    if lock is None:
        raise RunError(
            f"Pairkeeper already runs on {folders.home} (process {holder(folders.home)}): "
            "stop that one first, or set PAIRKEEPER_HOME to another folder."
        )
    with lock:
        empty(folders.runtime)
        supervisor = Supervisor(folders.logs)
        try:
            yield supervisor
        finally:
            ignore_signals()
            supervisor.stop()
            empty(folders.runtime)
            folders.runtime.rmdir()


def serve_portal(folders: Folders, options: argparse.Namespace) -> None:
    """Start all, tell the address, and watch until somebody stops us."""
    host, port = portal.address()
    with supervised(folders) as supervisor:
        portal.refuse_taken_port(host, port)
        say(f"Pairkeeper starts; its data lies in {folders.home}")
        env = environment(folders, host, port)
        children = [portal.web(host, port, env), portal.worker(folders.runtime, env)]
        supervisor.start(services(folders))
        prepare(folders, env)
        if options.demo:
            start_demo(supervisor, folders, env)
        supervisor.start(children)
        say(f"Pairkeeper is ready: {portal.page_url(host, port)}")
        supervisor.watch()


def start_demo(supervisor: Supervisor, folders: Folders, env: dict[str, str]) -> None:
    """Start the demo's servers and register them; a plain run must not depend on the demo's packages."""
    from run import demo  # noqa: PLC0415 (only when wanted, as the docstring says)

    supervisor.start(demo.start(folders.runtime, folders.home))
    timed(
        "demo fleet",
        lambda: portal.manage(demo.command(folders.home), env, folders.logs / "prepare.log"),
    )


def serve_services(folders: Folders, _options: argparse.Namespace) -> None:
    """Start database and broker alone, and tell how to reach them."""
    with supervised(folders) as supervisor:
        supervisor.start(services(folders))
        env = environment(folders, *portal.address())
        say(
            f"DATABASE_URL={env['DATABASE_URL']}\nBROKER_URL={env['BROKER_URL']}\nThe services are ready."
        )
        supervisor.watch()


def run_command(folders: Folders, options: argparse.Namespace) -> None:
    """Run a management command on the running installation, or start its services just for that."""
    env = environment(folders, *portal.address())
    lock = hold(folders.home)
    if lock is None:
        portal.manage(options.manage, env)
        return
    lock.close()
    with supervised(folders) as supervisor:
        supervisor.start(services(folders))
        portal.manage(options.manage, env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
