// ioredis for sentinel-lab: `new Redis({ sentinels, name })`, as its documentation shows. Needs `npm install ioredis`.
//
//     sentinel-lab run scenarios/kill.yaml --driver 'exec:node crates/drivers/examples/ioredis.js'
//
// With the argument `failoverDetector` it has that option, which is off by default: it listens to +switch-master.
const { createInterface } = require("node:readline");
const Redis = require("ioredis");
const { version } = require("ioredis/package.json");

const WORKLOADS = ["counter", "register", "queue", "replica_reads", "pubsub", "script", "transaction", "pipeline", "lock", "jobs"];
const failoverDetector = process.argv.includes("failoverDetector");
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
let master, replica;

function connect(setup) {
  const name = ([host, port]) => `${host}:${port}`;
  const natMap = Object.fromEntries(setup.address_map.map(([from, [host, port]]) => [name(from), { host, port }]));
  const { authority, data, sentinels, server_name: servername } = setup.tls ?? {};
  const tls = { ca: authority, ...(servername && { servername }) };
  const options = {
    sentinels: setup.sentinels.map(([host, port]) => ({ host, port })),
    name: setup.master,
    failoverDetector,
    username: setup.username,
    password: setup.password,
    sentinelUsername: setup.sentinel_username,
    sentinelPassword: setup.sentinel_password,
    db: setup.database,
    commandTimeout: 0.9 * setup.deadline_ms, // A timer fires a little late.
    ...(data && { tls, enableTLSForSentinelMode: true }),
    ...(sentinels && { sentinelTLS: tls }),
    ...(setup.address_map.length > 0 && { natMap }),
    lazyConnect: true, // A connection is opened by the first command, which not every client sends to a replica.
  };
  master = new Redis(options);
  replica = new Redis({ ...options, role: "slave" });
  for (const client of [master, replica]) client.on("error", () => {});
}

async function run({ id, op, commands }) {
  if (op === "subscribe") {
    master.on("message", (_channel, message) => say({ id, message }));
    master.on("pmessage", (_pattern, _channel, message) => say({ id, message }));
    await master.subscribe(commands[0][1]);
    for (const [, pattern] of commands.slice(1)) await master.psubscribe(pattern);
    return new Promise(() => {}); // It subscribes again by itself.
  }
  if (op === "transaction" || op === "pipeline") {
    const list = commands.map(([name, ...words]) => [name.toLowerCase(), ...words]);
    const replies = await (op === "transaction" ? master.multi(list) : master.pipeline(list)).exec();
    const failed = replies.find(([error]) => error);
    if (failed) throw failed[0];
    return replies.map(([, reply]) => reply);
  }
  return (op === "replica_get" ? replica : master).call(...commands[0]);
}

function cause({ name, code, message }) {
  if (/^(NOAUTH|WRONGPASS|NOPERM)/.test(message)) return "auth";
  if (name === "ReplyError") return "server";
  if (message === "All sentinels are unreachable.") return "no_sentinel";
  if (message === "Command timed out") return "timeout";
  if (name === "MaxRetriesPerRequestError" || message === "Connection is closed." || code) return "connection";
  return "other";
}

async function carryOut(order) {
  try {
    say({ id: order.id, value: await run(order) });
  } catch (error) {
    // An error reply to one command says that it was refused.
    const refused = error.name === "ReplyError" && order.commands.length === 1;
    say({ id: order.id, error: `${error.name}: ${error.message}`, cause: cause(error), may_have_run: !refused });
  }
}

const about = `new Redis({ sentinels, name${failoverDetector ? ", failoverDetector" : ""} })`;
say({ protocol: 1, name: "ioredis", version, about, can: [...WORKLOADS, "callers", "database", "patterns", "address_map", "tls", "server_name"] });
const lines = createInterface({ input: process.stdin });
lines.once("line", (setup) => {
  connect(JSON.parse(setup));
  lines.on("line", (line) => carryOut(JSON.parse(line)));
});
lines.once("close", () => process.exit(0));
