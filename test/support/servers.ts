/**
 * Private RabbitMQ and Redis on free ports of 127.0.0.1 in temporary folders, to be used and abused by tests.
 *
 * @module
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { freePort, isFree } from "./ports.ts";
import { isStopped } from "./stopped.ts";
import { until } from "./wait.ts";

const run = promisify(execFile);

/** Kept servers have this long to go after SIGTERM before SIGKILL, in ms. */
const GRACE = 15_000;

/** The path of a program: `places` first, then PATH. */
export function findProgram(name: string, ...places: string[]): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return [...places, ...folders.filter((folder) => folder !== "").map((folder) => join(folder, name))].find(
    existsSync,
  );
}

/** RabbitMQ's own start script: Debian's wrapper in /usr/sbin drops the environment and wants the system's user. */
export function findRabbit(): string | undefined {
  return findProgram("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server");
}

/** Erlang's own small client, if any: 20 ms where rabbitmqctl, which starts a whole Erlang, needs two seconds. */
function findErlCall(): string | undefined {
  return findProgram("erl_call");
}

/** What erl_call prints of a script. */
function tell(
  program: string,
  script: string,
  { args, env }: { readonly args: readonly string[]; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = ["-r", ...args, "-fetch_stdout", "-no_result_term", "-e"];
    const child = execFile(
      program,
      options,
      { env },
      (error, stdout) => error ? reject(error) : resolve(stdout),
    );
    // It waits for the end of a line.
    child.stdin?.end(`${script}\n`);
  });
}

/** The path of redis-server, if any. */
export function findRedis(): string | undefined {
  return findProgram("redis-server");
}

/** Sends `hello` and gives the first bytes of the answer. */
function greet(port: number, hello: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(hello));
    socket.setTimeout(2000, () => socket.destroy(new Error("no answer")));
    socket.once("data", (bytes: Uint8Array) => {
      resolve(bytes);
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed before an answer")));
  });
}

/** The user to run as: RabbitMQ's files should not belong to root. */
function serviceUser(name: string): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0 || findProgram("setpriv") === undefined) return undefined;
  const row = readFileSync("/etc/passwd", "utf8").split("\n").find((line) => line.startsWith(`${name}:`));
  const [, , uid, gid] = row?.split(":") ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

interface Plan {
  readonly name: string;
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly ready: () => Promise<boolean>;
}

/** A private server: a process group, a port, a folder. Disposing it stops the group and removes the folder. */
export class PrivateServer implements AsyncDisposable {
  readonly #plan: Plan;
  #child: ChildProcess | undefined;
  #watchdog: ChildProcess | undefined;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  get port(): number {
    return this.#plan.port;
  }

  /** With the user's name and password, if any. */
  get url(): string {
    return this.#plan.url;
  }

  get folder(): string {
    return this.#plan.folder;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts the process group and waits until the server answers; fails with the end of its log. */
  async start(deadline = 50_000): Promise<void> {
    const { command, env, folder, name, ready } = this.#plan;
    const log = openSync(join(folder, "server.log"), "a");
    const [program = "", ...args] = command;
    const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    let gone = "";
    child.once("error", (error) => gone = error.message);
    child.once("exit", (code, signal) => gone ||= `exit ${signal ?? code}`);
    this.#watchdog = watch(child.pid ?? 0, folder);
    try {
      await until(async () => gone !== "" || await ready(), { what: `${name} ready`, deadline, every: 50 });
      if (gone !== "") throw new Error(`${name}: ${gone}`);
    } catch (error) {
      const text = readFileSync(join(folder, "server.log"), "utf8").trim().split("\n").slice(-15).join("\n");
      await this.kill9();
      throw new Error(`${name} on port ${this.port} did not start\n${text}`, { cause: error });
    }
  }

  /** SIGTERM to the group, SIGKILL after 15 s; the folder stays. */
  async halt(): Promise<void> {
    this.resume();
    signal(this.#child, "SIGTERM");
    try {
      await this.#gone(GRACE);
    } catch {
      await this.kill9();
    }
  }

  /** SIGKILL to the group: the port is closed when this returns. Written data survives, as the page cache does. */
  async kill9(): Promise<void> {
    signal(this.#child, "SIGKILL");
    await this.#gone(GRACE);
  }

  /** SIGSTOP: connections stay open and, when this resolves, nobody answers. */
  async pause(): Promise<void> {
    signal(this.#child, "SIGSTOP");
    const group = this.#child?.pid ?? 0;
    await until(() => isStopped(group), { what: `${this.#plan.name} stands still` });
  }

  /** SIGCONT. */
  resume(): void {
    signal(this.#child, "SIGCONT");
  }

  /** Stops it if it runs and starts it again on the same port with the same data. */
  async restart(): Promise<void> {
    if (this.running) await this.halt();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The data go too, so nothing is worth a slow goodbye.
    if (this.running) await this.kill9();
    // Its last children may still be writing.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #gone(deadline: number): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exited = (): boolean => child.exitCode !== null || child.signalCode !== null;
    await until(async () => exited() && await isFree(this.port), {
      what: `${this.#plan.name} gone`,
      deadline,
      every: 20,
    });
    // The rest of the group, such as epmd, has nobody left to serve.
    signal(child, "SIGKILL");
    // Told "done", the watchdog leaves the process number alone: it may belong to somebody else by now.
    this.#watchdog?.stdin?.end("done\n");
    this.#watchdog = undefined;
    this.#child = undefined;
  }
}

/** The two ways to command a RabbitMQ. */
interface RabbitCommands {
  readonly ctl: (args: readonly string[]) => Promise<string>;
  readonly evaluate: (expression: string) => Promise<string>;
}

/** A private RabbitMQ that can be commanded. */
export class RabbitServer extends PrivateServer {
  readonly #commands: RabbitCommands;

  constructor(plan: Plan, commands: RabbitCommands) {
    super(plan);
    this.#commands = commands;
  }

  /** `rabbitmqctl args…` for this node (two seconds of a whole core: see `evaluate`); gives its output. */
  ctl(...args: string[]): Promise<string> {
    return this.#commands.ctl(args);
  }

  /** The value of an Erlang expression in this node, as Erlang writes it; what test/support/rabbit.ts does. */
  evaluate(expression: string): Promise<string> {
    return this.#commands.evaluate(expression);
  }
}

function alive(child: ChildProcess): boolean {
  if (child.pid === undefined) return false;
  try {
    process.kill(-child.pid, 0);
    return true;
  } catch {
    return false;
  }
}

function signal(child: ChildProcess | undefined, name: NodeJS.Signals): void {
  if (child?.pid === undefined || !alive(child)) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // Gone between the look and the signal.
  }
}

/** Ends the group and removes the folder when this process dies without having done so, even by SIGKILL: its pipe closes then. */
function watch(group: number, folder: string): ChildProcess {
  const script =
    'read line && exit; kill -s CONT -- "-$1"; kill -s TERM -- "-$1"; sleep 8; kill -s KILL -- "-$1"; rm -rf "$2"';
  const watchdog = spawn("sh", ["-c", script, "watchdog", String(group), folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watchdog.unref();
  (watchdog.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return watchdog;
}

function temporary(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `celeriac-${name}-`));
  // mkdtemp makes it 0700, and the server may run as another user.
  chmodSync(folder, 0o755);
  return folder;
}

function missing(what: string): Error {
  return new Error(`${what} is not installed: run \`npm run services\``);
}

/** Options of `startRabbit`. */
export interface RabbitOptions {
  /** Lines for rabbitmq.conf, such as `heartbeat = 2`. */
  readonly config?: readonly string[];
}

/** Starts a RabbitMQ of its own (4-6 s): node name, epmd, distribution and AMQP ports are all free ones of 127.0.0.1. */
export async function startRabbit(options: RabbitOptions = {}): Promise<RabbitServer> {
  const script = findRabbit();
  if (script === undefined) throw missing("rabbitmq-server");
  const [port, dist, epmd] = [await freePort(), await freePort(), await freePort()];
  const folder = temporary("rabbit");
  const node = `celeriac${port}@localhost`;
  writeFileSync(join(folder, "plugins"), "[].\n");
  writeFileSync(join(folder, "env.conf"), "");
  writeFileSync(
    join(folder, "rabbitmq.conf"),
    [`listeners.tcp.local = 127.0.0.1:${port}`, "log.file.level = warning", ...options.config ?? [], ""].join(
      "\n",
    ),
  );
  const env: NodeJS.ProcessEnv = {
    PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/bin`,
    LANG: "C.UTF-8",
    HOME: folder,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_EPMD_PORT: String(epmd),
    RABBITMQ_NODENAME: node,
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq"),
    RABBITMQ_CONF_ENV_FILE: join(folder, "env.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    // Idle schedulers must not spin: the tests need the cores.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
  };
  const user = serviceUser("rabbitmq");
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const asUser = (program: string, ...args: string[]): [program: string, args: string[]] => {
    if (user === undefined) return [program, args];
    return ["setpriv", [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", program, ...args]];
  };
  // Erlang would start epmd as a daemon outside the group and leave it; ours is a member of the group and dies with it.
  const shell = 'epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" & exec "$0"';
  const ctl = async (args: readonly string[]): Promise<string> => {
    const command = asUser(join(script, "..", "rabbitmqctl"), "-n", node, ...args);
    return (await run(...command, { env, cwd: folder })).stdout;
  };
  const caller = findErlCall();
  const evaluate = async (expression: string): Promise<string> => {
    // erl_call prints nothing of what an expression throws.
    const safe = `try {ok, begin ${expression} end} catch Kind:Reason -> {Kind, Reason} end`;
    const said = caller === undefined
      ? await ctl(["eval", `${safe}.`])
      : await tell(caller, `io:format("~tp", [${safe}]).`, {
        args: ["-address", `127.0.0.1:${dist}`, "-c", readFileSync(join(folder, ".erlang.cookie"), "utf8")],
        env,
      });
    const [, value] = /^\{ok,([^]*)\}\s*$/.exec(said) ?? [];
    if (value === undefined) throw new Error(`RabbitMQ could not evaluate ${expression}: ${said}`);
    return value;
  };
  const greeting = new Uint8Array([65, 77, 81, 80, 0, 0, 9, 1]);
  const server = new RabbitServer({
    name: "RabbitMQ",
    folder,
    port,
    url: `amqp://guest:guest@127.0.0.1:${port}//`,
    command: asUser("sh", "-c", shell, script).flat(),
    env,
    // A method frame (type 1) is connection.start; anything else is a broker that is not up yet.
    ready: async () => (await greet(port, greeting))[0] === 1,
  }, { ctl, evaluate });
  await started(server);
  return server;
}

/** Options of `startRedis`. */
export interface RedisOptions {
  /** More arguments, such as `"--maxmemory", "2mb"`. */
  readonly args?: readonly string[];
}

/** Starts a Redis of its own (under 1 s), with an append-only file so that data survive `restart` and `kill9`. */
export async function startRedis(options: RedisOptions = {}): Promise<PrivateServer> {
  const program = findRedis();
  if (program === undefined) throw missing("redis-server");
  const port = await freePort();
  const folder = temporary("redis");
  const major = Number(
    /v=(\d+)/.exec(spawnSync(program, ["--version"], { encoding: "utf8" }).stdout)?.[1] ?? 0,
  );
  // Redis 7 refuses DEBUG by default; Redis 6 refuses the option that allows it.
  const debug = major >= 7 ? ["--enable-debug-command", "yes"] : [];
  const data = ["--save", "", "--appendonly", "yes", "--appendfsync", "no"];
  const server = new PrivateServer({
    name: "Redis",
    folder,
    port,
    url: `redis://127.0.0.1:${port}/0`,
    command: [
      program,
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      folder,
      ...data,
      ...debug,
      ...options.args ?? [],
    ],
    env: { ...process.env },
    ready: async () =>
      new TextDecoder().decode(await greet(port, new TextEncoder().encode("PING\r\n"))).startsWith("+PONG"),
  });
  await started(server);
  return server;
}

async function started(server: PrivateServer): Promise<void> {
  try {
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}
