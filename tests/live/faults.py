"""The faults that remediations are tried on: each is put in place, seen, mended and seen mended."""

from dataclasses import replace

from checks.facts import Attested, FleetFacts, Growth, Trend
from checks.render import MIB
from tests.checks.pairs import EMAILENGINE, SINCE
from tests.live.losing import (
    KEYS,
    freeze_replica,
    lose_data,
    move_database,
    restore,
    serve_half,
    share,
    start_other_node,
    start_two_instances,
)
from tests.live.opening import (
    ask_for_password,
    give_certificate,
    protect,
    speak_plainly,
    use_tls,
)
from tests.live.patients import Fault
from tests.live.sizing import (
    add_ram,
    archive_twin,
    fill_small_host,
    half_fill_small_host,
    leave_no_ram,
    register_twin,
    set_maxmemory,
)
from tests.live.spoiling import (
    await_rewrite,
    block_by_script,
    block_saving,
    break_rewriting,
    crowd,
    cut_off,
    end_saving,
    end_trouble,
    fall_behind,
    fill,
    fill_disk_of_aof,
    follow_another,
    go_to_replica,
    half_fill,
    hang_saving,
    hog,
    load_slowly,
    move_to_standalone,
    narrow_buffer,
    own_account,
    register_another,
    register_primary,
    register_server,
    serve_one_slot,
    start_server,
    stop_server,
    store_admin_password,
    store_password,
    take_all_connections,
    turn_away,
    unblock_saving,
    want_password,
    want_replicas,
    want_tls,
)
from tests.live.watching import (
    go_to_sentinel,
    lose_quorum,
    register_sentinel,
    register_watched,
)

ONLY_WHEN_ASKED = ("appendonly", "yes", "auto-aof-rewrite-percentage", "0")
FULL = ("maxmemory", "20mb", "save", "")
BEFORE_6_2 = ("redis-6.0", "redis-6.1")
EVICTING = ("maxmemory", "20mb", "maxmemory-policy", "allkeys-lru", "save", "")
RAM_FIRST = {"Add RAM first": add_ram, "set maxmemory to": set_maxmemory}
A_MEGABYTE_A_DAY = Growth(28, 20_000, 70e6, 1e6, 0.9e6, 1.1e6)
FAULTS = (
    Fault(
        "redis.reachable",
        "connection",
        spoil=stop_server,
        person={"see that Redis runs and listens": start_server},
    ),
    Fault(
        "redis.reachable",
        "auth",
        spoil=want_password,
        person={"Type the account's name and password again": store_password},
    ),
    Fault(
        "redis.reachable",
        "protected-mode",
        spoil=protect,
        person={"set it with CONFIG SET requirepass": ask_for_password},
    ),
    Fault(
        "redis.reachable",
        "max-clients",
        options=("maxclients", "10"),
        spoil=take_all_connections,
        person={"Stop clients that leak connections": end_trouble},
    ),
    Fault(
        "redis.reachable",
        "loading",
        spoil=load_slowly,
    ),
    Fault(
        "redis.reachable",
        "tls",
        spoil=want_tls,
        person={"register the address as redis://": register_server},
    ),
    Fault(
        "redis.reachable",
        "protocol",
        spoil=register_another,
        person={"Compare host and port": register_server},
    ),
    Fault("redis.reachable", "busy", options=("lua-time-limit", "100"), spoil=block_by_script),
    Fault("redis.accepts-writes", "oom", options=FULL, spoil=fill),
    Fault(
        "redis.accepts-writes",
        "oom-add-ram",
        options=FULL,
        spoil=fill_small_host,
        person=RAM_FIRST,
        not_on=BEFORE_6_2,  # its errors are not counted: what it refused is seen while it is full alone
    ),
    Fault(
        "redis.accepts-writes",
        "misconf-rdb",
        spoil=block_saving,
        person={"Mend that, then save": unblock_saving},
        not_on=BEFORE_6_2,  # started by arguments alone it saves nothing
    ),
    Fault(
        "redis.accepts-writes",
        "misconf-aof",
        options=ONLY_WHEN_ASKED,
        spoil=fill_disk_of_aof,
        person={"Once it has ended": await_rewrite},
    ),
    Fault("redis.accepts-writes", "noreplicas", spoil=want_replicas),
    Fault(
        "redis.accepts-writes",
        "readonly",
        spoil=follow_another,
        person={"Set master_host and master_port": register_primary},
    ),
    Fault(
        "redis.endpoint-role",
        "replica",
        spoil=follow_another,
        person={"Set master_host and master_port": register_primary},
    ),
    Fault(
        "redis.endpoint-role",
        "sentinel",
        spoil=register_sentinel,
        person={"Set ip and port": register_watched},
    ),
    Fault(
        "redis.replication",
        "missing",
        known={"fleet": FleetFacts(expected_replicas_count=1)},
        person={"run on the replica, never here": go_to_replica},
    ),
    Fault(
        "redis.replication",
        "none",
        known={"fleet": FleetFacts(expected_replicas_count=0)},
        person={"Set up a second server": go_to_replica},
    ),
    Fault(
        "redis.replication",
        "quorum",
        spoil=lose_quorum,
        known={"fleet": FleetFacts(expected_replicas_count=1)},
        person={
            "On each registered Sentinel": go_to_sentinel,
            "Start those that are down": end_trouble,
        },
    ),
    Fault(
        "redis.standalone",
        options=("cluster-enabled", "yes"),
        spoil=serve_one_slot,
        person={"copy the keys": move_to_standalone},
    ),
    Fault("redis.eviction-policy", "policy", options=("maxmemory-policy", "allkeys-lru")),
    Fault(
        "redis.eviction-policy",
        "full",
        options=EVICTING,
        spoil=fill,
    ),
    Fault(
        "redis.eviction-policy",
        "full-add-ram",
        options=EVICTING,
        spoil=fill_small_host,
        person=RAM_FIRST,
    ),
    Fault(
        "redis.evicted-keys",
        options=EVICTING,
        spoil=fill,
        remembers=True,
    ),
    Fault("redis.memory-headroom", "maxmemory", options=FULL, spoil=half_fill),
    Fault(
        "redis.memory-headroom",
        "add-ram",
        options=FULL,
        spoil=half_fill_small_host,
        person=RAM_FIRST,
    ),
    Fault("redis.memory-headroom", "ram", spoil=leave_no_ram, person={"Add RAM first": add_ram}),
    Fault(
        "redis.memory-forecast",
        "maxmemory",
        options=("maxmemory", "100mb"),
        known={"trend": Trend(growth=A_MEGABYTE_A_DAY)},
    ),
    Fault(
        "redis.memory-forecast",
        "add-ram",
        options=("maxmemory", "100mb"),
        known={"trend": Trend(growth=A_MEGABYTE_A_DAY), "attested": Attested(ram_bytes=150 * MIB)},
        person=RAM_FIRST,
    ),
    Fault(
        "redis.memory-forecast",
        "ram",
        known={"trend": Trend(growth=A_MEGABYTE_A_DAY), "attested": Attested(ram_bytes=100 * MIB)},
        person={"Add RAM first": add_ram},
    ),
    Fault(
        "redis.snapshot-headroom",
        spoil=leave_no_ram,
        person={"of RAM or more to": add_ram},
        not_on=BEFORE_6_2,
    ),
    Fault("redis.durability", "off", options=("save", "", "appendonly", "no")),
    Fault("redis.durability", "aof-only", options=("save", "", "appendonly", "yes")),
    Fault("redis.rdb-schedule"),  # the default schedule is too weak
    Fault(
        "redis.rdb-fresh",
        spoil=fall_behind,
        person={"Mend that, then save": unblock_saving},
        limits={"grace_s": 0},
    ),
    Fault(
        "redis.rdb-last-status",
        "failed",
        spoil=block_saving,
        person={"Mend that, then save": unblock_saving},
    ),
    Fault(
        "redis.rdb-last-status",
        "hung",
        spoil=hang_saving,
        person={"end that process alone": end_saving},
        limits={"warn_running_s": 1},
    ),
    Fault("redis.tcp-keepalive", options=("tcp-keepalive", "0")),
    Fault("redis.maxmemory-set", "unset"),
    Fault("redis.maxmemory-set", "unset-add-ram", spoil=half_fill_small_host, person=RAM_FIRST),
    Fault(
        "redis.memory-provisioning",
        options=("maxmemory", "100mb"),
        known={
            "fleet": FleetFacts(expected_mailboxes_count=100),
            "trend": Trend(highest_used_bytes=80_000_000),
        },
    ),
    Fault(
        "redis.aof-disk",
        "always",
        options=("appendonly", "yes", "appendfsync", "always"),
        known={"attested": Attested(disk_iops=20_000)},
    ),
    Fault(
        "redis.aof-last-status",
        "write",
        options=ONLY_WHEN_ASKED,
        spoil=fill_disk_of_aof,
        person={"Once it has ended": await_rewrite},
    ),
    Fault(
        "redis.aof-last-status",
        "rewrite",
        options=ONLY_WHEN_ASKED,
        spoil=break_rewriting,
    ),
    Fault(
        "redis.clients-headroom",
        "crowded",
        options=("maxclients", "50"),
        spoil=crowd,
        known={"since": SINCE},
    ),
    Fault(
        "redis.clients-headroom",
        "rejected",
        options=("maxclients", "50"),
        spoil=turn_away,
        remembers=True,
    ),
    Fault("redis.pubsub-buffers", "limit", spoil=narrow_buffer, known={"since": SINCE}),
    Fault(
        "redis.pubsub-buffers",
        "disconnected",
        spoil=cut_off,
        person={"Most often EmailEngine's host": end_trouble},
        remembers=True,
        only_on=(
            "redis-7.4",
            "redis-8",
            "valkey-8",
            "valkey-9",
            "valkey-server",
        ),  # older makes do not count it
    ),
    Fault("redis.idle-timeout", options=("timeout", "300")),
    Fault(
        "redis.access-control",
        "open",
        person={
            "Give this portal its own account": own_account,
            "sign in with that password yourself": store_admin_password,
        },
        answers="NOAUTH",
        not_on=BEFORE_6_2,  # without &*, as the remediation says
    ),
    Fault(
        "redis.access-control",
        "plain",
        spoil=speak_plainly,
        person={"a certificate, and open a TLS port": give_certificate, "Use rediss://": use_tls},
        only_on=("redis-server",),  # alone built with TLS
    ),
    Fault("redis.probe-privilege", person={"Run it on": own_account}),
    Fault("redis.command-size-limit", options=("proto-max-bulk-len", "1048576")),
    Fault(
        "redis.accepts-writes",
        "clusterdown",
        options=("cluster-enabled", "yes"),
        spoil=serve_half,
        person={"Start the nodes that are down": start_other_node},
    ),
    Fault(
        "redis.shared-instance",
        "shared",
        spoil=share,
        known={"fleet": FleetFacts()},
        person={"Move one of them to a server of its own": move_database},
    ),
    Fault(
        "redis.shared-instance",
        "same-keys",
        spoil=register_twin,
        person={"archive one of the pairs": archive_twin},
    ),
    Fault(
        "redis.replication",
        "lag",
        spoil=freeze_replica,
        known={"fleet": FleetFacts(expected_replicas_count=1)},
        limits={"most_lag_s": 1},
        person={"Most often the network": end_trouble},
    ),
    Fault(
        "pair.data-intact",
        options=("save", "", "appendonly", "no"),
        spoil=lose_data,
        known={"since": replace(SINCE, baseline_keys_count=KEYS)},
        person={"With Redis stopped put it in place": restore},
    ),
    Fault(
        "pair.single-instance",
        spoil=start_two_instances,
        known={"emailengine": EMAILENGINE},
        person={"Stop all but one": end_trouble},
    ),
    Fault(
        "redis.stall",
        spoil=hog,
        person={"move other users of this Redis elsewhere": end_trouble},
    ),
)
