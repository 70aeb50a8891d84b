/**
 * Runs `count` calls, at most `width` unsettled at once.
 *
 * @module
 */
export function pump(count, width, call) {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let settled = 0;
    const next = () => {
      settled += 1;
      if (settled === count) resolve();
      else if (sent < count) send();
    };
    const send = () => {
      sent += 1;
      call().then(next, reject);
    };
    for (let index = 0; index < Math.min(width, count); index += 1) send();
  });
}
