/**
 * kombu's native delayed delivery on RabbitMQ (kombu/transport/native_delayed_delivery.py): how its exchanges and queues are called, and the
 * key by which a message finds its way through them.
 *
 * 28 queues hold a message 1, 2, 4, … seconds. The delay in binary digits stands before the routing key, and says at each level whether the
 * message goes through its queue. What has passed all of them is led by the rest of the key.
 *
 * @module
 */

/** The queue that holds a message longest: 2^27 seconds. */
export const DELAY_TOP = 27;

/** Where a message begins to wait. */
export const DELAY_ENTRY: string = delayLevel(DELAY_TOP);

/** Where it comes out. */
export const DELAY_DELIVERY = "celery_delayed_delivery";

/** The queue and the exchange of one level. */
export function delayLevel(level: number): string {
  return `celery_delayed_${level}`;
}

/** AMQP's short texts. */
const LONGEST_KEY = 255;

/**
 * The key of a message that waits `ms` and then goes by `key`: whole seconds, rounded down as Celery does, since the worker waits for the rest.
 * Undefined where it cannot go that way: less than a second, more than 28 digits, no key, or one too long.
 */
export function delayKey(ms: number, key: string): string | undefined {
  const digits = Math.floor(ms / 1000).toString(2).padStart(DELAY_TOP + 1, "0");
  const whole = `${[...digits].join(".")}.${key}`;
  const fits = ms >= 1000 && ms < Infinity && digits.length === DELAY_TOP + 1 && key !== "" &&
    new TextEncoder().encode(whole).length <= LONGEST_KEY;
  return fits ? whole : undefined;
}

/**
 * What binds a queue whose key is `key` to the delivery: the digits, then the key. Undefined for a key that no delayed message can have.
 *
 * kombu binds by {@link kombuPattern}, which leads what is for `a.b` to the queue of `b` too.
 */
export function delayPattern(key: string): string | undefined {
  const pattern = "*.".repeat(DELAY_TOP + 1) + key;
  return key === "" || new TextEncoder().encode(pattern).length > LONGEST_KEY ? undefined : pattern;
}

/** What kombu binds it by: whatever stands before the key. */
export function kombuPattern(key: string): string {
  return key.startsWith("#") ? key : `#.${key}`;
}

/** Whether a topic exchange leads this key by this pattern: `*` is one word, `#` any number. */
export function topicMatches(pattern: string, key: string): boolean {
  return wordsMatch(pattern.split("."), key.split("."));
}

function wordsMatch(pattern: readonly string[], words: readonly string[]): boolean {
  // Which beginnings of the key are matched by the pattern so far, by their length.
  let reached = new Set([0]);
  for (const part of pattern) {
    const next = new Set<number>();
    for (const at of reached) {
      if (part === "#") { for (let to = at; to <= words.length; to++) next.add(to); }
      else if (at < words.length && (part === "*" || part === words[at])) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(words.length);
}
