/**
 * What the contracts promise, read from their comments: one promise a member, one a variant of a union.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import ts from "typescript";
import { ROOT } from "./copy.ts";

/** One comment of a contract. */
export interface Promised {
  /** `Consumer.stop`; a variant of a union by its word: `Verdict.confirmed`. */
  readonly id: string;
  /** The comment, on one line; empty where there is none. */
  readonly text: string;
}

/** Every member of every exported type of a file, in order. */
export function promisesOf(file: string): Promised[] {
  const source = ts.createSourceFile(file, readFileSync(ROOT + file, "utf8"), ts.ScriptTarget.ES2022, true);
  return source.statements.flatMap((statement): Promised[] => {
    if (ts.isInterfaceDeclaration(statement)) {
      const name = statement.name.text;
      const members = statement.members.filter((member) => member.name !== undefined);
      return [
        { id: name, text: commentOf(statement, source) },
        ...members.map((member) => ({
          id: `${name}.${member.name?.getText(source)}`,
          text: commentOf(member, source),
        })),
      ];
    }
    if (!ts.isTypeAliasDeclaration(statement)) return [];
    const name = statement.name.text;
    const variants = ts.isUnionTypeNode(statement.type)
      ? statement.type.types.filter(ts.isTypeLiteralNode)
      : [];
    return [
      { id: name, text: commentOf(statement, source) },
      ...variants.map((variant) => ({
        id: `${name}.${/"([^"]+)"/.exec(variant.getText(source))?.[1]}`,
        text: commentOf(variant, source),
      })),
    ];
  });
}

/** The last doc comment before a node, on one line. */
function commentOf(node: ts.Node, source: ts.SourceFile): string {
  const ranges = ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? [];
  // The comment of a union's variant stands before its bar.
  const before = ranges.length > 0 ? ranges : barComments(node, source);
  const text = before.map(({ pos, end }) => source.text.slice(pos, end)).filter((one) =>
    one.startsWith("/**")
  ).at(-1);
  if (text === undefined) return "";
  return text.replace(/^\/\*\*|\*\/$/g, "").replace(/^\s*\* ?/gm, "").replace(/\s+/g, " ").trim();
}

function barComments(node: ts.Node, source: ts.SourceFile): readonly ts.CommentRange[] {
  if (!ts.isTypeLiteralNode(node)) return [];
  const before = source.text.slice(0, node.getFullStart()).trimEnd();
  if (!before.endsWith("|")) return [];
  const text = before.slice(0, -1).trimEnd();
  if (!text.endsWith("*/")) return [];
  return [{ pos: text.lastIndexOf("/**"), end: text.length, kind: ts.SyntaxKind.MultiLineCommentTrivia }];
}
