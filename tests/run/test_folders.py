"""Where the data and the sockets lie, and who may hold them."""

import os
import stat

import pytest

from run import folders
from run.children import RunError
from run.postgres import url


@pytest.fixture(autouse=True)
def no_runtime_dir(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("PAIRKEEPER_HOME", raising=False)


def test_socket_paths_stay_short_when_the_home_is_deep(tmp_path, monkeypatch):
    home = tmp_path / ("deep" * 30) / ("er" * 60)
    monkeypatch.setenv("PAIRKEEPER_HOME", str(home))

    found = folders.find_folders()

    assert found.home == home
    assert len(str(found.runtime / folders.LONGEST_SOCKET_NAME)) <= folders.MAX_SOCKET_PATH_BYTES
    assert stat.S_IMODE(found.runtime.stat().st_mode) == 0o700
    found.runtime.rmdir()


def test_the_same_home_has_the_same_runtime_folder(tmp_path, monkeypatch):
    (tmp_path / "alias").symlink_to(tmp_path / "home")
    monkeypatch.setenv("PAIRKEEPER_HOME", str(tmp_path / "home"))
    first = folders.find_folders()
    monkeypatch.setenv("PAIRKEEPER_HOME", str(tmp_path / "alias"))

    assert folders.find_folders() == first
    first.runtime.rmdir()


@pytest.mark.parametrize(("name", "is_used"), [("short", True), ("long" * 30, False)])
def test_the_runtime_dir_of_the_session_is_used_when_it_is_short(
    tmp_path_factory, monkeypatch, name, is_used
):
    base = folders.Path("/tmp") / f"pk-{os.getpid()}" / name
    base.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))

    assert folders.runtime_base() == (base if is_used else folders.Path("/tmp"))
    base.rmdir()
    base.parent.rmdir()


def test_a_runtime_folder_that_is_a_link_is_refused(tmp_path, monkeypatch):
    base = tmp_path / "r"
    base.mkdir()
    monkeypatch.setattr(folders, "runtime_base", lambda: base)
    made = folders.make_runtime(tmp_path)
    made.rmdir()
    made.symlink_to(tmp_path)

    with pytest.raises(RunError, match="belongs to somebody else: set XDG_RUNTIME_DIR"):
        folders.make_runtime(tmp_path)


def test_a_home_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(RunError) as told:
        folders.make_home(tmp_path / "file" / "home")

    assert str(told.value) == (
        f"The data folder {tmp_path}/file/home cannot be written (Not a directory): "
        "set PAIRKEEPER_HOME to a folder of your own."
    )


def test_a_home_is_held_by_one_run_at_a_time(tmp_path):
    first = folders.hold(tmp_path)

    assert first is not None
    assert folders.hold(tmp_path) is None
    assert folders.holder(tmp_path) == str(os.getpid())
    first.close()
    again = folders.hold(tmp_path)
    assert again is not None
    again.close()


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / ".s.PGSQL.5432.lock").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "postgres")

    folders.empty(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_database_address_names_the_socket_folder(tmp_path):
    assert (
        url(folders.Path("/run/user/1000/a b"))
        == "postgres://pairkeeper@/pairkeeper?host=/run/user/1000/a%20b"
    )


def test_a_home_of_a_person_who_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("PAIRKEEPER_HOME", "~nobody-of-that-name/x")
    monkeypatch.chdir("/proc")

    with pytest.raises(RunError, match="/proc/~nobody-of-that-name/x cannot be written"):
        folders.find_folders()
