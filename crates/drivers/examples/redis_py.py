"""redis-py for sentinel-lab: `Sentinel`, `master_for` and `slave_for`, as its documentation shows. Needs `pip install redis`.

    sentinel-lab run scenarios/kill.yaml --driver 'exec:python3 crates/drivers/examples/redis_py.py'
"""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import redis
from redis.sentinel import MasterNotFoundError, Sentinel, SlaveNotFoundError

RESPONSE = 0.5  # Seconds that a reply may take. Those of the documentation's example, 0.1, are few on a busy machine.
WORKLOADS = ["counter", "register", "queue", "replica_reads", "pubsub", "script", "transaction", "pipeline"]
WORKLOADS += ["lock", "jobs"]
writing = threading.Lock()


def say(**line):
    with writing:
        print(json.dumps(line), flush=True)


def cause(error):
    causes = [
        ("auth", (redis.AuthenticationError, redis.exceptions.NoPermissionError)),
        ("no_master", (MasterNotFoundError, SlaveNotFoundError)),
        ("timeout", redis.TimeoutError),
        ("connection", redis.ConnectionError),
        ("server", redis.ResponseError),
    ]
    return next((word for word, kinds in causes if isinstance(error, kinds)), "other")


def run(op, commands):
    if op in ("transaction", "pipeline"):
        with master.pipeline(transaction=op == "transaction") as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return pipeline.execute()
    client = {"replica_get": replica, "pop": blocking, "take": blocking}.get(op, master)
    return client.execute_command(*commands[0])


def encryption(tls, node):
    return {"ssl": True, "ssl_ca_data": tls["authority"]} if tls and tls[node] else {}


def carry_out(id, op, commands):
    try:
        if op == "subscribe":
            with master.pubsub(ignore_subscribe_messages=True) as pubsub:
                pubsub.subscribe(commands[0][1])
                for _, pattern in commands[1:]:
                    pubsub.psubscribe(pattern)
                while True:
                    message = pubsub.get_message(timeout=1)
                    if message is not None:
                        say(id=id, message=message["data"])
        say(id=id, value=run(op, commands))
    except Exception as error:
        # Refused, or never sent.
        refused = isinstance(error, redis.ResponseError) and op not in ("transaction", "pipeline")
        unsent = isinstance(error, (MasterNotFoundError, SlaveNotFoundError, redis.AuthenticationError))
        text = f"{type(error).__name__}: {error}"
        say(id=id, error=text, cause=cause(error), may_have_run=not (refused or unsent))


about = "Sentinel.master_for and slave_for"
say(protocol=1, name="redis-py", version=redis.__version__, about=about, can=[*WORKLOADS, "callers", "database", "patterns", "tls"])
line = sys.stdin.readline()
if line:
    setup = json.loads(line)
    guard = {"username": setup["sentinel_username"], "password": setup["sentinel_password"], "socket_timeout": RESPONSE}
    login = {"username": setup["username"], "password": setup["password"], "db": setup["database"], "decode_responses": True}
    guard |= encryption(setup["tls"], "sentinels")
    login |= encryption(setup["tls"], "data")
    sentinel = Sentinel(list(map(tuple, setup["sentinels"])), socket_timeout=RESPONSE, sentinel_kwargs=guard, **login)
    master = sentinel.master_for(setup["master"])
    replica = sentinel.slave_for(setup["master"])
    blocking = sentinel.master_for(setup["master"], socket_timeout=1 + RESPONSE)  # A pop waits for 1 s.
    callers = ThreadPoolExecutor(64)
    for line in sys.stdin:
        callers.submit(carry_out, **json.loads(line))
    os._exit(0)  # Without waiting for what is still open.
