"""redis-py's Sentinel through a failover, set up as its documentation shows."""

import json
import os
import sys
import time

from redis.exceptions import ConnectionError, ReadOnlyError, TimeoutError
from redis.sentinel import MasterNotFoundError, Sentinel

sentinels = [(host, int(port)) for host, port in json.loads(os.environ["SENTINELS"])]
sentinel = Sentinel(sentinels, socket_timeout=0.1, password="secret", sentinel_kwargs={"password": "guard"})
before = sentinel.discover_master("mymaster")
replicas = sentinel.discover_slaves("mymaster")
assert len(replicas) == 2 and before not in replicas, (before, replicas)
master = sentinel.master_for("mymaster", socket_timeout=0.1)
replica = sentinel.slave_for("mymaster", socket_timeout=0.1)
master.set("foo", "bar")
assert master.execute_command("WAIT", 2, 80) == 2
assert replica.get("foo") == b"bar"
print("READY", flush=True)
sys.stdin.readline()  # The master is dead now.

deadline = time.monotonic() + 40
errors = 0
while True:
    try:
        master.incr("counter")
        if sentinel.discover_master("mymaster") != before:
            break
    except (ConnectionError, TimeoutError, ReadOnlyError, MasterNotFoundError):
        errors += 1
    assert time.monotonic() < deadline, "no new master"
    time.sleep(0.05)
assert errors > 0, "the failover was not noticed"
after = sentinel.discover_master("mymaster")
assert after in replicas, (after, replicas)
assert master.get("foo") == b"bar"
while True:
    try:
        if replica.get("counter") is not None:
            break
    except (ConnectionError, TimeoutError):
        pass
    assert time.monotonic() < deadline, "no replica"
    time.sleep(0.05)
print("DONE", before[1], after[1], flush=True)
