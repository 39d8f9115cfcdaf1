"""A directory shows its own copies, and nothing outside the roots is ever opened."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from fleet.backups.directory import Directory, place_within, roots_of
from fleet.backups.places import Moving, Trouble, when_stored
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import make_pair

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)


@pytest.fixture
def root(tmp_path, settings):
    inside = tmp_path / "backups"
    inside.mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "dump.rdb").write_bytes(b"another's")
    settings.BACKUP_ROOTS = [str(inside)]
    return inside


def put(path, content=b"REDIS", age=timedelta(hours=3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    at = (NOW - age).timestamp()
    os.utime(path, (at, at))


def directory(root, folder="", pattern="dump-*.rdb*", name="eu-1", tenant="Northwind"):
    pair = make_pair(tenant, name=name)
    source = make_source(pair, folder=f"{root}{folder}", name_pattern=pattern)
    return Directory(source, NOW)


def keys(place):
    return [seen.key for seen in place.listing()]


def trouble(act):
    with pytest.raises(Trouble) as raised:
        act()
    return raised.value.reason, str(raised.value)


def read(place, key=None):
    seen = next(one for one in place.listing() if key in (None, one.key))
    with place.pieces(seen.key, seen.version) as pieces:
        return b"".join(pieces)


def test_it_lists_what_matches_newest_first(root):
    put(root / "dump-1.rdb", age=timedelta(days=1))
    put(root / "dump-2.rdb.gz")
    put(root / "notes.txt")

    first, second = directory(root).listing()

    assert (first.key, first.stored_at, first.stored_bytes) == (
        "dump-2.rdb.gz",
        NOW - timedelta(hours=3),
        5,
    )
    assert second.key == "dump-1.rdb"


def test_names_take_the_place_of_their_placeholders(root):
    put(root / "Northwind" / "eu-1" / "eu-1.rdb", b"mine")
    place = directory(root, "/{tenant}/{pair}", "{pair}.rdb")

    assert read(place) == b"mine"


def test_a_star_in_a_pairs_name_stands_for_itself(root):
    put(root / "eu-1.rdb", b"another's")
    put(root / "eu-*.rdb", b"mine")

    assert keys(directory(root, pattern="{pair}.rdb", name="eu-*")) == ["eu-*.rdb"]


def test_a_tenant_named_as_a_placeholder_is_no_way_into_anothers_folder(root):
    """A pair's name is its tenant's to choose."""
    place = directory(root, "/{tenant}", "*", name="Globex", tenant="{pair}")

    assert trouble(place.listing)[1] == f"{root}/{{pair}} is not there, seen from this worker"


@pytest.mark.parametrize("name", ["../secret", "..", ".", "a/b"])
def test_a_name_that_is_a_path_is_refused(root, name):
    reason, text = trouble(lambda: directory(root, "/{pair}", name=name))

    assert (reason, text) == ("blocked_address", f"{{pair}} is {name!r}, which is no file name")


@pytest.mark.parametrize(
    "folder", ["/../secret", "/x/../../secret", "-sibling", "/../backups/../secret"]
)
def test_a_folder_outside_the_roots_is_refused(root, folder):
    (root.parent / "backups-sibling").mkdir()

    assert trouble(lambda: directory(root, folder))[0] == "blocked_address"


@pytest.mark.parametrize("folder", ["", "backups", "/", "/etc", "/proc/self", "/backups\0/etc"])
def test_only_an_absolute_path_below_a_root_is_a_place(folder):
    assert trouble(lambda: place_within(folder, ["/backups"]))[0] == "blocked_address"


def test_without_roots_there_is_no_place():
    assert trouble(lambda: place_within("/backups/x", [])) == (
        "blocked_address",
        "/backups/x is not allowed: it must lie below nowhere: BACKUP_ROOTS is not set",
    )


@pytest.mark.parametrize("pattern", ["../secret/dump.rdb", "/etc/passwd", ""])
def test_a_file_name_with_a_path_in_it_is_refused(root, pattern):
    assert trouble(lambda: directory(root, pattern=pattern))[0] == "blocked_address"


def test_a_linked_folder_is_not_entered(root):
    (root / "elsewhere").symlink_to(root.parent / "secret")
    place = directory(root, "/elsewhere", "*")

    assert trouble(place.listing) == (
        "blocked_address",
        f"{root}/elsewhere is no folder, or a symbolic link to one",
    )


def test_a_linked_file_is_not_read(root):
    (root / "dump-1.rdb").symlink_to(root.parent / "secret" / "dump.rdb")

    assert trouble(directory(root).listing) == (
        "protocol",
        "dump-1.rdb is a symbolic link, and none is followed",
    )


def test_a_file_that_becomes_a_link_is_not_read(root):
    put(root / "dump-1.rdb")
    place = directory(root)
    (seen,) = place.listing()
    (root / "dump-1.rdb").unlink()
    (root / "dump-1.rdb").symlink_to(root.parent / "secret" / "dump.rdb")

    with pytest.raises(Trouble) as raised, place.pieces(seen.key, seen.version):
        pytest.fail("it was opened")
    assert raised.value.reason == "undetermined"


def test_a_folder_that_becomes_a_link_is_not_entered(root):
    put(root / "mine" / "dump-1.rdb")
    place = directory(root, "/mine")
    (seen,) = place.listing()
    (root / "mine").rename(root / "moved")
    (root / "mine").symlink_to(root.parent / "secret")

    with pytest.raises(Trouble), place.pieces(seen.key, seen.version):
        pytest.fail("it was entered")


@pytest.mark.parametrize("key", ["../secret/dump.rdb", "/etc/passwd", ""])
def test_a_key_is_a_name_and_no_path(root, key):
    with pytest.raises(Trouble), directory(root).pieces(key, ""):
        pytest.fail("it was opened")


def test_a_pipe_holds_nobody(root):
    os.mkfifo(root / "dump-1.rdb")

    assert trouble(directory(root).listing) == ("protocol", "dump-1.rdb is no regular file")


def test_an_append_only_folder_is_no_dump(root):
    (root / "appendonlydir").mkdir()
    place = directory(root, pattern="appendonly*")

    assert trouble(place.listing) == (
        "protocol",
        "appendonlydir is a folder: an append-only folder is no dump",
    )


@pytest.mark.parametrize(
    ("age_s", "is_listed"), [(-1, True), (0, False), (19, False), (20, True), (21, True)]
)
def test_what_changed_just_now_may_still_be_written(root, age_s, is_listed):
    put(root / "dump-1.rdb", age=timedelta(seconds=age_s))

    assert bool(directory(root).listing()) is is_listed


def test_what_redis_is_saving_to_is_left_alone(root):
    put(root / "temp-4711.rdb")
    put(root / "dump.rdb")

    assert keys(directory(root, pattern="*.rdb")) == ["dump.rdb"]


def test_a_file_that_grows_while_it_is_read_is_not_judged(root):
    put(root / "dump-1.rdb")
    place = directory(root)
    (seen,) = place.listing()

    with pytest.raises(Moving), place.pieces(seen.key, seen.version):
        put(root / "dump-1.rdb", b"REDIS and more")


def test_a_file_that_is_replaced_while_it_is_read_is_not_judged(root):
    put(root / "dump-1.rdb")
    place = directory(root)
    (seen,) = place.listing()

    put(root / "new", b"other")
    with pytest.raises(Moving), place.pieces(seen.key, seen.version):
        (root / "new").rename(root / "dump-1.rdb")


def test_a_file_that_is_gone_or_changed_since_is_not_read(root):
    put(root / "dump-1.rdb")
    place = directory(root)
    (seen,) = place.listing()
    put(root / "dump-1.rdb", b"other", age=timedelta(hours=1))

    with pytest.raises(Moving), place.pieces(seen.key, seen.version):
        pytest.fail("it was read")
    (root / "dump-1.rdb").unlink()
    with pytest.raises(Moving), place.pieces(seen.key, seen.version):
        pytest.fail("it was read")


def test_what_may_not_be_read_says_so(root):
    assert trouble(directory(root, "/nowhere").listing) == (
        "undetermined",
        f"{root}/nowhere is not there, seen from this worker",
    )


def test_a_root_with_the_tenants_name_is_its_own(tmp_path, settings):
    settings.BACKUP_ROOTS = [f"{tmp_path}/{{tenant}}", "/mnt/shared"]
    mine, another = make_pair("Northwind"), make_pair("Contoso")

    assert roots_of(mine.target) == (f"{tmp_path}/Northwind", "/mnt/shared")
    assert roots_of(mine.target, is_shared_too=False) == (f"{tmp_path}/Northwind",)
    source = make_source(another, folder=f"{tmp_path}/Northwind", name_pattern="*")
    assert trouble(lambda: Directory(source, NOW))[0] == "blocked_address"


def test_two_tenants_whose_names_differ_by_a_slash_do_not_meet(tmp_path, settings):
    settings.BACKUP_ROOTS = [f"{tmp_path}/{{tenant}}"]

    assert trouble(lambda: roots_of(make_pair("Northwind/..").target))[0] == "blocked_address"


def test_a_link_below_the_tenants_own_folder_leads_nowhere(tmp_path, settings):
    """What lies below its name in a root is the tenant's to rename, and to make a link of."""
    settings.BACKUP_ROOTS = [f"{tmp_path}/{{tenant}}/redis/"]
    put(tmp_path / "Contoso" / "redis" / "dump-1.rdb", b"another's")
    (tmp_path / "Northwind").mkdir()
    own = tmp_path / "Northwind" / "redis"
    own.symlink_to(tmp_path / "Contoso" / "redis")
    source = make_source(make_pair("Northwind"), folder=str(own), name_pattern="*")

    assert trouble(Directory(source, NOW).listing) == (
        "blocked_address",
        f"{own} is no folder, or a symbolic link to one",
    )
    own.unlink()
    put(own / "dump-1.rdb", b"mine")
    assert read(Directory(source, NOW)) == b"mine"


def test_an_operators_link_to_a_tenants_folder_is_followed(tmp_path, settings):
    settings.BACKUP_ROOTS = [f"{tmp_path}/all/{{tenant}}"]
    put(tmp_path / "disk" / "dump-1.rdb", b"mine")
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "Northwind").symlink_to(tmp_path / "disk")
    folder = f"{tmp_path}/all/Northwind"

    place = Directory(make_source(make_pair("Northwind"), folder=folder, name_pattern="*"), NOW)

    assert read(place) == b"mine"


def test_a_name_that_cannot_be_written_down_hides_no_other(root):
    odd = os.fsencode(root) + b"/dump-\xff.rdb"
    os.close(os.open(odd, os.O_CREAT | os.O_WRONLY))
    os.utime(odd, (1, 1))
    place = directory(root)

    assert trouble(place.listing) == (
        "protocol",
        "'dump-\\udcff.rdb' is named in no UTF-8: rename it",
    )
    put(root / "dump-\n1.rdb")
    put(root / "dump-\u202e\U0001f4be.rdb")
    assert sorted(keys(place)) == ["dump-\n1.rdb", "dump-\u202e\U0001f4be.rdb"]


@pytest.mark.parametrize(
    ("seconds", "at"),
    [
        (-(10**11), datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1970, 1, 1, tzinfo=UTC)),
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (10**12, datetime(9999, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_that_no_calendar_has_is_one_that_can_be_written_down(seconds, at):
    assert when_stored(seconds) == at
