/**
 * Takes secrets out of text before it is shown: URLs in banners, errors, logs.
 *
 * @module
 */

const MASK = "***";

/** Query parameters that hold a secret. */
const SECRET_QUERY =
  /([?&;](?:[\w.-]*(?:password|passwd|passphrase|token|secret|api[_-]?key)[\w.-]*)=)[^&;#\s]*/gi;

/**
 * The URL with its password and tokens masked; the user name stays. Takes a failover list (`amqp://a;amqp://b`) and never throws. All
 * between `://` and the last `@` counts as credentials, so that a password with a raw `/` or `@` in it is not shown either.
 */
export function redactUrl(url: string): string {
  return String(url).split(NEXT_URL).map(redactOne).join("");
}

/** Where one URL of a failover list, or of a text, ends. */
const NEXT_URL = /(\s+|;(?=[\w+.-]+:\/\/))/;

function redactOne(url: string): string {
  const start = url.indexOf("://") + 3;
  const end = url.lastIndexOf("@");
  const shown = start < 3 || end < start
    ? url
    : `${url.slice(0, start)}${masked(url.slice(start, end))}${url.slice(end)}`;
  return shown.replace(SECRET_QUERY, `$1${MASK}`);
}

function masked(credentials: string): string {
  const colon = credentials.indexOf(":");
  return colon < 0 ? MASK : `${credentials.slice(0, colon)}:${MASK}`;
}

/** Text with each URL in it redacted, and each of `secrets` masked wherever it stands (also percent-encoded). */
export function redactText(text: string, secrets: readonly string[] = []): string {
  return redactSecrets(redactUrl(text), secrets);
}

/** Text with each of `secrets` masked wherever it stands (also percent-encoded): for text that holds no URL of ours. */
export function redactSecrets(text: string, secrets: readonly string[]): string {
  let out = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    for (const form of new Set([secret, percentEncoded(secret)])) out = out.split(form).join(MASK);
  }
  return out;
}

function percentEncoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    // A lone surrogate has no such form.
    return text;
  }
}
