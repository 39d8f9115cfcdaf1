"""The catalogue as it was agreed: kind, group, the worst a rule reports, and where it comes from."""

from checks.catalog import BY_ID

AGREED = """
redis.reachable operation health critical S1
redis.accepts-writes operation health critical S1
redis.standalone requirement health critical S1, EE
redis.version requirement persistence critical S1, EE
redis.engine-support requirement persistence critical S0, S1, EE
redis.dragonfly-lua-flags requirement persistence critical S0, S1
redis.command-size-limit requirement persistence warning S0, S1
redis.upstash-plan requirement persistence critical S0, S1
redis.eviction-policy requirement persistence critical S0, S1, EE
redis.evicted-keys operation health critical S1, EE
redis.memory-headroom requirement health critical S0, S1
redis.maxmemory-set requirement persistence info ours
redis.memory-provisioning requirement persistence critical S0, S1
redis.memory-forecast requirement daily critical S0, S1
redis.snapshot-headroom requirement persistence critical S0, S1
redis.fragmentation operation persistence info ours
redis.durability requirement persistence critical S0, S1
redis.rdb-schedule requirement persistence warning S1
redis.rdb-fresh operation persistence critical S1
redis.rdb-last-status operation health critical S1
redis.aof-disk requirement persistence critical S0, S1
redis.aof-last-status operation health critical S1
redis.storage-medium requirement persistence critical S1
redis.tcp-keepalive requirement persistence critical S0, S1
redis.endpoint-role requirement health critical S1
redis.clients-headroom operation health critical ours
redis.pubsub-buffers requirement persistence warning S1, S2
redis.idle-timeout requirement persistence info ours
redis.private-endpoint requirement persistence critical S1
redis.access-control requirement persistence critical ours
redis.probe-privilege requirement persistence info ours
redis.replication requirement persistence critical S1
redis.same-zone requirement persistence critical S0, S1
redis.shared-instance requirement persistence critical EE
pair.rtt requirement latency critical S1, EE
redis.stall operation latency critical ours
emailengine.reachable operation health critical ours
emailengine.api-response operation health critical S3
emailengine.queue-workers operation persistence critical EE
emailengine.queue-size operation health critical S3
pair.same-redis operation health critical ours
pair.single-instance operation persistence critical EE
pair.data-intact operation health critical S1, EE
redis.credentials-drift operation health critical EE
emailengine.version operation persistence info EE
emailengine.license operation health critical ours
emailengine.workers operation health critical ours
emailengine.accounts operation health critical ours
emailengine.redis-warnings operation health critical EE
emailengine.queue-paused operation health warning ours
emailengine.processing-rate operation health critical S3
emailengine.delivery-time operation health critical S3
emailengine.bounce-rate operation health critical S3
emailengine.webhooks operation health warning ours
backup.configured requirement backup critical S0, S1
backup.age requirement backup critical S1
backup.intact requirement backup critical S0, S1
backup.size operation backup critical ours
backup.restore-proven requirement backup critical ours
backup.secret-kept requirement backup critical EE
"""
CORE = {
    *("redis.standalone", "redis.engine-support", "redis.eviction-policy", "redis.durability"),
    *("redis.memory-headroom", "pair.rtt", "backup.configured", "backup.age"),
    *("redis.reachable", "redis.accepts-writes"),
    *("emailengine.reachable", "emailengine.queue-workers"),
}


def test_every_agreed_rule_is_as_it_was_agreed():
    agreed = [tuple(line.split(" ", 4)) for line in AGREED.strip().splitlines()]
    found = [
        (one.id, one.kind.value, one.group.value, one.severity.value, one.source)
        for one in (BY_ID[rule_id] for rule_id, *_ in agreed)
    ]

    assert found == agreed


def test_only_core_rules_decide_a_lamp_by_being_unknown():
    assert {one.id for one in BY_ID.values() if one.is_core} <= CORE
