"""A client of a few lines, without a package: it asks the Sentinels for the master and connects, for every operation. Its first
argument is what it does wrong, `nothing` by default, or an operation that it answers with nonsense; its second is a file in which it leaves its process id and that of a child.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time

fault, *pids = sys.argv[1:] or ["nothing"]
writing = threading.Lock()
given = []


# What is answered in earnest and no operation of the name gives; a string to the others.
NONSENSE = {"set": 1, "pop": [1, 2], "transaction": [1], "pipeline": [[None, 1], [None, "OK"], [None, 1]], "acquire": False}
NONSENSE |= {"take": 7, "unfinished": False, "renew": True}


def say(line):
    with writing:
        print(line if isinstance(line, str) else json.dumps(line), flush=True)


class Wire:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=2)
        self.stream = self.socket.makefile("rwb")

    def ask(self, *commands):
        for words in commands:
            self.stream.write(b"*%d\r\n" % len(words))
            for word in words:
                self.stream.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
        self.stream.flush()
        return [self.read() for _ in commands]

    def read(self):
        line = self.stream.readline().decode().rstrip()
        if not line:
            raise ConnectionError("the connection was closed")
        kind, rest = line[0], line[1:]
        if kind == "-":
            raise RuntimeError(rest)
        if kind in ":*$":
            rest = int(rest)
        if kind in "*$" and rest < 0:
            return None
        if kind == "*":
            return [self.read() for _ in range(rest)]
        return self.stream.read(rest + 2)[:-2].decode() if kind == "$" else rest


def master():
    for address in setup["sentinels"]:
        try:
            (found,) = Wire(tuple(address)).ask(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", setup["master"]])
            return Wire((found[0], int(found[1])))
        except (OSError, TypeError):
            pass
    raise ConnectionError("no Sentinel names a master that listens")


def carry_out(id, op, commands):
    try:
        wire = master()
        if op == "subscribe":
            wire.ask(commands[0])
            wire.socket.settimeout(None)
            while True:
                say({"id": id, "message": wire.read()[2]})
        if op == "transaction":
            commands = [["MULTI"], *commands, ["EXEC"]]
        replies = wire.ask(*commands)
        given.append({"transaction": replies[-1], "pipeline": replies}.get(op, replies[0]))
        late = fault == "mixes" and len(given) > 4
        say({"id": id, "value": given[-2 if late else -1]})
    except RuntimeError as error:
        say({"id": id, "error": str(error), "cause": "server", "may_have_run": op in ("transaction", "pipeline")})
    except OSError as error:
        say({"id": id, "error": str(error), "cause": "connection"})


if pids:
    child = subprocess.Popen(["sleep", "1000"])
    with open(pids[0], "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
if fault == "slow-start":
    time.sleep(1)
if fault == "hello-garbage":
    say("Hello!")
if fault == "hello-end":
    sys.exit("cannot load the client")
WORKLOADS = ["counter", "register", "queue", "pubsub", "script", "transaction", "pipeline", "lock", "jobs"]
can = ["counter"] if fault == "counter-only" else [*WORKLOADS, "callers"]
say({"protocol": 2 if fault == "protocol" else 1, "name": "plain", "version": "0", "about": "no package", "can": can})
setup = json.loads(sys.stdin.readline() or sys.exit())
for number, line in enumerate(sys.stdin, 1):
    order = json.loads(line)
    if fault == "end" and number == 3:
        sys.exit("out of ideas")
    if fault == "garbage" and number == 3:
        say("DEBUG: the third order")
    if fault == "unknown" and number == 3:
        say({"id": 99, "value": None})
    if fault == "again" and number == 3:
        say({"id": 1, "value": None})
    if fault == order["op"]:
        say({"id": order["id"], "value": NONSENSE.get(fault, "1")})
        continue
    if fault == "message" and number == 3:
        say({"id": order["id"], "message": "m"})
        continue
    if fault == "endless" and number == 3:
        sys.stdout.write("x" * 2_000_000)
        sys.stdout.flush()
    if fault == "deaf" and number == 3:
        os.close(0)
        carry_out(**order)
        threading.Event().wait()
    if fault != "mute":
        worker = threading.Thread(target=carry_out, kwargs=order, daemon=True)
        worker.start()
        if fault != "nothing":
            worker.join()  # So that what is said next comes after the answer.
os._exit(0)
