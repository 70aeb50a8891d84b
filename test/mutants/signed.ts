/**
 * Scripts of Redis whose text a mutant has changed.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** The source with the SHA-1 of each script's text, by which a server knows it. */
export function signed(code: string): string {
  return code.replaceAll(/text: `([^`]*)`,\n {2}sha: "[0-9a-f]{40}"/g, (_all, text: string) => {
    const sha = createHash("sha1").update(text).digest("hex");
    return `text: \`${text}\`,\n  sha: "${sha}"`;
  });
}
