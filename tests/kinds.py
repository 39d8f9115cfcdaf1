"""Every kind of value that a server knows, in several databases: what its dumps must be read right of.

python -m tests.kinds   writes the dumps of every server that is here into tests/captures/dumps/
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from tests import servers

CAPTURES = Path(__file__).with_name("captures") / "dumps"
LATER_MS = 4_102_444_800_000  # the year 2100
MANY = 200  # more than any server packs into one piece, as SMALL sets it
SMALL = (
    *("hash-max-listpack-entries", "hash-max-ziplist-entries", "set-max-intset-entries"),
    *("zset-max-listpack-entries", "zset-max-ziplist-entries", "set-max-listpack-entries"),
)
LEASED = ("hash:leased", "hash:leased:many")
UNKNOWN = ("unknown", "unsupported", "invalid stream id", "syntax")
LIBRARY = "#!lua name=mylib\nredis.register_function('f', function() return 1 end)"


def noise(size: int, seed: int = 1) -> bytes:
    """Give bytes that nothing compresses, the same each time."""
    return hashlib.shake_128(bytes([seed])).digest(size)


def fill(client: Redis, *, big: bool = False) -> None:
    """Write every kind the server knows; `big` adds values whose length takes 32 bits."""
    for name in SMALL:
        ask(client, "CONFIG", "SET", name, 32)
    for name in ("list-max-listpack-size", "list-max-ziplist-size"):
        ask(client, "CONFIG", "SET", name, 8)
    texts(client)
    collections(client)
    streams(client)
    oddities(client)
    if big:
        client.set("text:big", noise(20_000))
        client.set("text:big:packed", b"ab" * 20_000)
        client.execute_command("RPUSH", "list:big", noise(20_000), "small", noise(70_000))
        client.execute_command("HSET", "hash:big", noise(20_000), noise(17_000, 2))
    for database, count in ((3, 5), (8, 10), (15, 1)):
        client.execute_command("SELECT", database)
        for number in range(count):
            client.set(f"k:{number}", number)
        client.pexpireat("k:0", LATER_MS)
    client.execute_command("SELECT", 0)


def texts(client: Redis) -> None:
    client.mset({"text:0": "", "text:8": 5, "text:16": 300, "text:32": 100_000, "text:64": 2**40})
    client.mset({"text": "plain", "text:packed": "a" * 1000, "text:14": noise(100)})
    for name in ("text:expiring", "text:later"):
        client.set(name, "x")
        client.pexpireat(name, LATER_MS)
    client.pfadd("hyperloglog", "a", "b")
    client.setbit("bits", 77, 1)


def collections(client: Redis) -> None:
    client.rpush("list", "a", 1, "b" * 30)
    client.rpush("list:many", *range(MANY))
    client.sadd("set:numbers", 1, 2, 70_000)
    client.sadd("set", "a", "b", "c")
    client.sadd("set:many", *(f"member-{number}" for number in range(MANY)))
    client.zadd("zset", {"a": 1, "b": 2.5})
    client.zadd("zset:many", {f"member-{number}": number / 3 for number in range(MANY)})
    client.geoadd("geo", (13.36, 38.11, "Palermo"))
    client.hset("hash", mapping={"a": 1, "b": "c" * 40})
    client.hset("hash:many", mapping={f"field-{number}": "v" for number in range(MANY)})
    for key, fields in zip(LEASED, (2, MANY), strict=True):
        if ask(client, "HPEXPIREAT", key, LATER_MS, "FIELDS", 1, "none") is None:
            continue
        client.hset(key, mapping={f"field-{number}": "v" for number in range(fields)})
        client.execute_command("HPEXPIREAT", key, LATER_MS, "FIELDS", 1, "field-1")


def streams(client: Redis) -> None:
    client.execute_command("XGROUP", "CREATE", "stream:empty", "alone", "$", "MKSTREAM")
    for number in range(1, 151):
        client.execute_command("XADD", "stream", f"{number}-1", "field", "value", "n", number)
    client.execute_command("XDEL", "stream", "3-1")
    for group in ("first", "second"):
        client.execute_command("XGROUP", "CREATE", "stream", group, "0")
    for reader in ("ann", "bob"):
        words = ("COUNT", 20, "STREAMS", "stream", ">")
        client.execute_command("XREADGROUP", "GROUP", "first", reader, *words)
    client.execute_command("XACK", "stream", "first", "1-1")
    ask(client, "XGROUP", "CREATECONSUMER", "stream", "second", "cid")
    if ask(client, "XADD", "stream:once", "IDMP", "producer", "number-1", "*", "f", "v"):
        client.execute_command("XADD", "stream:once", "IDMP", "other", "number-2", "*", "f", "v")


def oddities(client: Redis) -> None:
    """Write what only some servers know."""
    client.script_load("return 1")
    ask(client, "FUNCTION", "LOAD", LIBRARY)
    ask(client, "VADD", "vectors", "VALUES", 3, "0.1", "0.2", "0.3", "element")


def ask(client: Redis, *words: Any) -> Any:
    """Give the answer, None where the server does not know the command or the setting."""
    try:
        return client.execute_command(*words)
    except ResponseError as error:
        told = str(error).lower()
        if any(word in told for word in UNKNOWN):
            return None
        raise


def counted(client: Redis) -> dict[int, tuple[int, int]]:
    """Give the keys of each database, and those that may be over when they are loaded."""
    found: dict[str, Any] = client.info("keyspace")
    leased = sum(client.exists(key) for key in LEASED)
    return {
        int(name.removeprefix("db")): (told["keys"], told["expires"] + leased * (name == "db0"))
        for name, told in found.items()
    }


def saved(client: Redis) -> bytes:
    """Let the server write its dump, and give it."""
    client.save()
    settings: dict[str, str] = {
        word: client.config_get(word)[word] for word in ("dir", "dbfilename")
    }
    return (Path(settings["dir"]) / settings["dbfilename"]).read_bytes()


def version_of(client: Redis) -> str:
    """Give make and version, as folders of captures are named."""
    told: dict[str, Any] = client.info("server")
    if "valkey_version" in told:
        return f"valkey-{told['valkey_version']}"
    return f"redis-{told['redis_version']}"


def main() -> None:
    for start in servers.everywhere().values():
        with (
            start("save", "") as server,
            Redis.from_url(server.url, single_connection_client=True) as client,
        ):
            fill(client)
            folder = CAPTURES / version_of(client)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "dump.rdb").write_bytes(saved(client))
            told = {str(database): list(count) for database, count in counted(client).items()}
            (folder / "keys.json").write_text(json.dumps(told) + "\n")
            print(folder.name, (folder / "dump.rdb").stat().st_size, told)


if __name__ == "__main__":
    main()
