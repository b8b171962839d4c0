// ioredis through a failover, set up as its documentation shows.
const Redis = require("ioredis");

const sentinels = JSON.parse(process.env.SENTINELS).map(([host, port]) => ({ host, port: Number(port) }));
const options = { sentinels, name: "mymaster", password: "secret", sentinelPassword: "guard" };
const master = new Redis(options);
const replica = new Redis({ ...options, role: "slave" });
const deadline = Date.now() + 40_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
for (const client of [master, replica]) client.on("error", () => {});

function check(holds, what) {
  if (!holds) {
    console.error(what);
    process.exit(1);
  }
}

async function port(client) {
  const info = await client.info("server");
  return /tcp_port:(\d+)/.exec(info)[1];
}

async function main() {
  check((await master.set("foo", "bar")) === "OK", "SET");
  check((await master.wait(2, 1000)) === 2, "WAIT");
  check((await replica.get("foo")) === "bar", "GET from a replica");
  const before = await port(master);
  check((await port(replica)) !== before, "the replica is the master");
  console.log("READY");
  await new Promise((resolve) => process.stdin.once("data", resolve)); // The master is dead now.
  let after = before;
  while (after === before) {
    check(Date.now() < deadline, "no new master");
    try {
      await master.incr("counter");
      after = await port(master);
    } catch {
      await pause(50);
    }
  }
  check((await master.get("foo")) === "bar", "GET from the new master");
  console.log("DONE", before, after);
  process.exit(0);
}

main();
