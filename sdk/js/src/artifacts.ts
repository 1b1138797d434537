// Artifacts, made and opened. Needs the interface `artifacts`.
/// <reference path="./contract.d.ts" />
import { fromBytes as stored, open as opened, pack as packed } from "runner:step/artifacts@0.1.0";
import { Artifact } from "./artifact.ts";
import { StepError } from "./errors.ts";
import { call, text, texts } from "./host.ts";
import { encoded } from "./text.ts";

/** A file or a folder of the workspace. `exclude` takes the patterns of `.gitignore`. */
export const pack = (path: string, exclude: readonly string[] = []): Artifact =>
  new Artifact(call(() => packed(text("path", path), texts("exclude", exclude))));

/** An artifact of this run, by the digest that another step gave out. */
export const open = (digest: string): Artifact => new Artifact(call(() => opened(text("digest", digest))));

/** Stores a file that the step has made, at most 16 MiB; a text in UTF-8. */
export function fromBytes(content: Uint8Array | string): Artifact {
  const bytes = typeof content === "string" ? encoded(text("content", content)) : content;
  if (!(bytes instanceof Uint8Array)) throw new StepError("invalid", "`content` must be a `Uint8Array` or text");
  return new Artifact(call(() => stored(bytes)));
}
