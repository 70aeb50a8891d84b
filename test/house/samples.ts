/**
 * The code samples of the Markdown files: what a reader will paste.
 *
 * @module
 */

/** One fenced block. */
export interface Sample {
  /** Where it stands, as `README.md:30`. */
  readonly place: string;
  readonly language: string;
  /** The rest of the opening fence. */
  readonly flags: string;
  readonly code: string;
  /** What its first line says it is called (`// tasks.ts`), else nothing. */
  readonly name: string | undefined;
}

/** Fenced blocks in the order of the document. */
export function samples(file: string, markdown: string): Sample[] {
  const found: Sample[] = [];
  const fence = /^( *)(`{3,})(\w*)([^\n]*)\n([\s\S]*?)^\1\2 *$/gm;
  for (const match of markdown.matchAll(fence)) {
    const [, indent = "", , language = "", flags = "", body = ""] = match;
    const code = indent === "" ? body : body.replaceAll(new RegExp(`^${indent}`, "gm"), "");
    const line = markdown.slice(0, match.index).split("\n").length;
    const name = /^\/\/ ([\w./-]+\.tsx?)\s*$/m.exec(code.split("\n", 1)[0] ?? "")?.[1];
    found.push({ place: `${file}:${line}`, language, flags: flags.trim(), code, name });
  }
  return found;
}

/** Relative links of a document, without their anchors. */
export function links(markdown: string): string[] {
  const prose = markdown.replaceAll(/^( *)(`{3,})[\s\S]*?^\1\2 *$/gm, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target)
    .filter((target) => !/^([a-z]+:|#)/.test(target))
    .map((target) => target.replace(/#.*$/, ""));
}
