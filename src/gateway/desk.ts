/**
 * Takes each request to where it belongs.
 *
 * @module
 */
import { refusalOf } from "./allow.ts";
import { readBody } from "./body.ts";
import { type Command, readCommand, readCommands } from "./command.ts";
import { malformed, Refusal } from "./fault.ts";
import { Link } from "./link.ts";
import type { Plan } from "./options.ts";
import { partsOf, readPath, textPart } from "./path.ts";
import { answer, answers, type Encoding, type Reply } from "./reply.ts";
import { openStream } from "./stream.ts";
import { tokenOf, Tokens } from "./tokens.ts";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT"]);

/** All that the gateway holds: its Redis links, and how many subscriptions are open. */
export class Desk {
  readonly #plan: Plan;
  readonly #links: readonly Link[];
  readonly #tokens: Tokens<Link>;
  #subscriptions = 0;
  #written = 0;
  #closed = false;

  /** @param plan the checked options */
  constructor(plan: Plan) {
    this.#plan = plan;
    const doors = Array.from(
      plan.targets,
      ([token, target]) => [token, new Link(target, plan.platform.clock, plan)] as const,
    );
    this.#links = doors.map(([, link]) => link);
    this.#tokens = new Tokens(doors);
  }

  /** Lets go of every connection. */
  close(): void {
    this.#closed = true;
    for (const link of this.#links) link.close();
  }

  /** Answers one request, errors included. */
  async answer(request: Request): Promise<Response> {
    try {
      return await this.#serve(request);
    } catch (error) {
      // What is none of ours may hold anything: the client learns that it happened, no more.
      const { status, message } = error instanceof Refusal
        ? error
        : new Refusal(500, "ERR the gateway failed at this request");
      return json(JSON.stringify({ error: message }), status);
    }
  }

  async #serve(request: Request): Promise<Response> {
    if (!METHODS.has(request.method)) throw new Refusal(405, "ERR method not allowed");
    const url = new URL(request.url);
    const token = tokenOf(request.headers.get("authorization"), url.searchParams.get("_token"));
    const link = token === undefined ? undefined : this.#tokens.find(token);
    if (link === undefined) throw new Refusal(401, "WRONGPASS invalid or missing auth token");
    if (this.#closed) throw new Refusal(503, "ERR the gateway is closed");
    const format = request.headers.get("upstash-response-format") ?? "json";
    if (format !== "json") throw new Refusal(400, "ERR only the response format json is served");
    const encoding = request.headers.get("upstash-encoding") === "base64" ? "base64" : "text";

    const parts = partsOf(url.pathname);
    const room = parts[0]?.toLowerCase();
    if (room === "subscribe" || room === "psubscribe") {
      // Nobody would read the stream, and nothing end it.
      if (request.method === "HEAD") throw new Refusal(405, "ERR method not allowed");
      return await this.#listen(link, room, parts.slice(1).map(textPart), request.signal);
    }
    const body = await readBody(request, this.#plan.maxBody);
    if (room === "pipeline" && parts.length === 1) return await this.#pipeline(link, body, encoding);
    if (room === "multi-exec" && parts.length === 1) return await this.#transaction(link, body, encoding);
    const command = parts.length === 0
      ? readCommand(body, this.#plan)
      : readPath(parts, url.search, body, this.#plan);
    const refused = refusalOf(command);
    if (refused !== undefined) throw new Refusal(400, refused);
    const [reply = null] = await link.run([command]);
    return this.#reply(answer(reply, encoding), reply instanceof Error ? 400 : 200);
  }

  async #pipeline(link: Link, body: Uint8Array, encoding: Encoding): Promise<Response> {
    const commands = readCommands(body, this.#plan);
    const refused = commands.map(refusalOf);
    const passing = commands.filter((_command, index) => refused[index] === undefined);
    const replies = passing.length === 0 ? [] : await link.run(passing);
    let next = 0;
    const all = refused.map((why): Reply => why === undefined ? replies[next++] ?? null : new Error(why));
    return this.#reply(answers(all, encoding), 200);
  }

  async #transaction(link: Link, body: Uint8Array, encoding: Encoding): Promise<Response> {
    const commands: readonly Command[] = readCommands(body, this.#plan);
    const refused = commands.map(refusalOf).find((why) => why !== undefined);
    if (refused !== undefined) throw new Refusal(400, refused);
    const replies = await link.transact(commands);
    if (replies instanceof Error) throw new Refusal(400, replies.message);
    return this.#reply(answers(replies, encoding), 200);
  }

  async #listen(
    link: Link,
    kind: "subscribe" | "psubscribe",
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<Response> {
    const [name = ""] = names;
    if (names.length !== 1 || name === "") throw malformed(`the path reads /${kind}/<name>`);
    if (this.#subscriptions >= this.#plan.maxSubscriptions) {
      throw new Refusal(503, "ERR max subscriptions exceeded");
    }
    this.#subscriptions++;
    const { heartbeat, platform } = this.#plan;
    const done = (): void => void this.#subscriptions--;
    const stream = await openStream(link, { kind, name }, { clock: platform.clock, heartbeat, signal, done });
    return new Response(stream, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      },
    });
  }

  /** One Redis answers every request, so that who writes reads it in any case: the sync token only has to be new each time. */
  #reply(text: string, status: number): Response {
    return json(text, status, { "upstash-sync-token": `g${(this.#written++).toString(36)}` });
  }
}

function json(text: string, status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
}
