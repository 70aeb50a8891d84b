/**
 * The worker's banner: Celery's shape, line for line.
 *
 * @module
 */

/** What the banner tells. */
export interface Banner {
  readonly hostname: string;
  readonly version: string;
  readonly system: string;
  /** Local time, `2026-11-22 06:01:29`. */
  readonly time: string;
  readonly app: string;
  /** The broker's URL without secrets. */
  readonly transport: string;
  /** The backend's URL without secrets. */
  readonly results: string;
  readonly concurrency: number;
  readonly pool: string;
  readonly queues: readonly BannerQueue[];
  /** Undefined: not listed (Celery lists them from INFO on). */
  readonly tasks: readonly string[] | undefined;
}

/** One line under `[queues]`. */
export interface BannerQueue {
  readonly name: string;
  readonly exchange: string;
  readonly exchangeType: string;
  readonly routingKey: string;
}

/** celery/apps/worker.py ARTLINES. */
const ART = [
  " --------------",
  "--- ***** -----",
  "-- ******* ----",
  "- *** --- * ---",
  "- ** ----------",
  "- ** ----------",
  "- ** ----------",
  "- ** ----------",
  "- *** --- * ---",
  "-- ******* ----",
  "--- ***** -----",
  " --------------",
];

/** The banner as text, cyan where `colour` is set, with an empty line at its end. */
export function renderBanner(banner: Banner, colour: boolean): string {
  const lines = [
    `${banner.hostname} v${banner.version} (celeriac)`,
    "",
    `${banner.system} ${banner.time}`,
    "",
    "[config]",
    `.> app:         ${banner.app}`,
    `.> transport:   ${banner.transport}`,
    `.> results:     ${banner.results}`,
    `.> concurrency: ${banner.concurrency} (${banner.pool})`,
    ".> task events: OFF",
    "",
    "[queues]",
    ...banner.queues.map(queueLine),
  ];
  const head = ` \n${lines.map((line, row) => `${ART[row] ?? " ".repeat(15)} ${line}`).join("\n")}\n`;
  const tasks = banner.tasks === undefined
    ? ""
    : `\n[tasks]\n${[...banner.tasks].sort().map((task) => `  . ${task}\n`).join("")}`;
  return `${colour ? `\u001b[1;36m${head}\u001b[0m` : head}${tasks}\n`;
}

function queueLine(queue: BannerQueue): string {
  return `.> ${
    queue.name.padEnd(16)
  } exchange=${queue.exchange}(${queue.exchangeType}) key=${queue.routingKey}`;
}
