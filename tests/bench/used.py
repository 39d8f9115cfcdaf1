"""Watched servers as EmailEngine leaves them: INFO everything tells of each kind of command ever called."""

from typing import Final

from redis import Redis

# What a Redis of EmailEngine 2.79 had been asked after an hour, by its own INFO commandstats: 65 kinds
# of commands make 10 kB of what redis_exporter reads, of a server that nobody used there is none.
CALLS: Final = """
PING
HELLO 3
SELECT 0
SET bench:text 1
GET bench:text
INCR bench:text
INCRBY bench:text 2
EXISTS bench:text
EXPIRE bench:text 3600
TTL bench:text
TYPE bench:text
SCAN 0
HSET bench:hash a 1
HMSET bench:hash b 2
HSETNX bench:hash c 3
HINCRBY bench:hash a 1
HGET bench:hash a
HMGET bench:hash a b
HGETALL bench:hash
HKEYS bench:hash
HEXISTS bench:hash a
HDEL bench:hash c
SADD bench:set a b
SCARD bench:set
SMEMBERS bench:set
SREM bench:set b
LPUSH bench:list a b
RPOPLPUSH bench:list bench:list
LINDEX bench:list 0
LLEN bench:list
LRANGE bench:list 0 -1
LREM bench:list 0 b
ZADD bench:sorted 1 a 2 b 3 c 4 d 5 e
ZCARD bench:sorted
ZCOUNT bench:sorted 1 2
ZRANGE bench:sorted 0 -1
ZRANGEBYSCORE bench:sorted 1 2
ZREVRANGE bench:sorted 0 -1
ZREVRANGEBYSCORE bench:sorted 2 1
ZREM bench:sorted a
ZREMRANGEBYRANK bench:sorted 0 0
ZREMRANGEBYSCORE bench:sorted 3 3
ZPOPMIN bench:sorted
BZPOPMIN bench:sorted 0.01
XADD bench:stream * a 1
XLEN bench:stream
XRANGE bench:stream - +
XREVRANGE bench:stream + -
XREAD STREAMS bench:stream 0
XTRIM bench:stream MAXLEN 10
XINFO STREAM bench:stream
EVAL return(1) 0
SCRIPT HELP
PUBSUB CHANNELS
PUBSUB NUMSUB
SLOWLOG LEN
CLIENT LIST
CLIENT SETNAME bench
INFO
DEL bench:text bench:hash bench:set bench:list bench:sorted bench:stream
"""


def use(url: str) -> None:
    """Call each kind once. No key stays, only what INFO tells of the calls."""
    with Redis.from_url(url) as client:
        for line in CALLS.strip().splitlines():
            client.execute_command(*line.split())
        digest = client.script_load("return 1")
        client.evalsha(digest, 0)
        with client.pipeline(transaction=True) as transaction:
            transaction.ping()
            transaction.execute()
        with client.pubsub() as subscriber:
            subscriber.subscribe("bench")
            subscriber.get_message(timeout=1)
