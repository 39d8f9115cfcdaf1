"""Order, logs and secrets of a supervised installation."""

import sys

import pytest

from run import keys, portal
from run.children import Child, ChildEndedError, RunError
from run.installation import once
from run.supervisor import MAX_LOG_BYTES, Supervisor, bound


def test_children_stop_in_reverse_order(tmp_path):
    order = tmp_path / "order"
    script = "trap 'echo {0} >> {1}; exit 0' TERM; touch {1}.{0}; while :; do sleep 0.02; done"
    supervisor = Supervisor(tmp_path)
    for name in ("database", "web"):
        up = tmp_path / f"order.{name}"
        argv = ["/bin/sh", "-c", script.format(name, order)]
        supervisor.start([Child(name, argv, is_ready=up.exists)])

    supervisor.stop()

    assert order.read_text().split() == ["web", "database"]


def test_a_dead_child_is_noticed_while_another_starts(tmp_path):
    supervisor = Supervisor(tmp_path)
    dead = Child("dead", [sys.executable, "-c", "raise SystemExit('out of memory')"])
    slow = Child("slow", ["/bin/sleep", "60"], is_ready=lambda: False)

    with pytest.raises(ChildEndedError, match=r"(?s)dead ended with code 1.*out of memory"):
        supervisor.start([dead, slow])
    supervisor.stop()


def test_a_log_is_cut_when_it_has_grown_too_long(tmp_path):
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    with log.open("ab") as writer:
        bound(log)
        writer.write(b"next")

    assert log.read_bytes() == b"next"
    assert (tmp_path / "web.log.1").stat().st_size == MAX_LOG_BYTES + 1


def test_keys_are_made_once_and_closed_to_others(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("FLEET_KEYS", raising=False)

    first = keys.secret_environment(tmp_path)

    assert keys.secret_environment(tmp_path) == first
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "secret_key": 0o600,
        "fleet_keys": 0o600,
    }


def test_keys_from_the_environment_win_and_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "given")
    monkeypatch.setenv("FLEET_KEYS", "given too")

    assert keys.secret_environment(tmp_path) == {"SECRET_KEY": "given", "FLEET_KEYS": "given too"}
    assert list(tmp_path.iterdir()) == []


def test_a_step_is_done_again_only_for_another_state(tmp_path):
    done = []
    for state in ("a", "a", "b"):
        once("step", lambda state=state: done.append(state), stamp=tmp_path / "stamp", state=state)

    assert done == ["a", "b"]


def test_a_step_that_failed_is_done_again(tmp_path):
    def fail():
        raise RunError("no")

    with pytest.raises(RunError):
        once("step", fail, stamp=tmp_path / "stamp", state="a")

    assert not (tmp_path / "stamp").exists()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),
        ("::", "http://[::1]:8000/"),
        ("::1", "http://[::1]:8000/"),
        ("portal.example", "http://portal.example:8000/"),
    ],
)
def test_the_address_told_can_be_opened(host, url):
    assert portal.page_url(host, 8000) == url


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(port, monkeypatch):
    monkeypatch.setenv("PORT", port)

    with pytest.raises(RunError, match=f"PORT is {port}: it must be a number from 1 to 65535"):
        portal.address()


def test_a_zone_that_is_no_slug_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ZONE", "eu,now")

    with pytest.raises(RunError, match="ZONE is eu,now"):
        portal.worker(tmp_path, {})


def test_a_management_command_that_fails_is_named_with_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(
        portal, "MANAGE", [sys.executable, "-c", "raise SystemExit('no such table')"]
    )

    log = tmp_path / "prepare.log"
    log.write_text("of an earlier command\n")

    with pytest.raises(RunError) as told:
        portal.manage(["migrate"], {}, log)

    assert str(told.value) == (
        f"manage.py migrate ended with code 1; the end of {log}:\n    no such table"
    )


def test_the_web_server_listens_where_it_was_told():
    child = portal.web("0.0.0.0", 9000, {})

    assert (child.env["HOST"], child.env["PORT"]) == ("0.0.0.0", "9000")
