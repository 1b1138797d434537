// The handle of an artifact, a file or a tree in the runner's store.
/// <reference path="./contract.d.ts" />
import type * as wit from "runner:step/artifacts@0.1.0";
import { StepError } from "./errors.ts";
import { call, text } from "./host.ts";
import { decoded } from "./text.ts";

/** Data that stay in the host. What is asked of them needs the interface `artifacts`. */
export class Artifact {
  /** The contract's. */
  readonly raw: wit.Artifact;

  constructor(raw: wit.Artifact) {
    this.raw = raw;
  }

  /** Give this out as an output, and `artifacts.open` it in another step. */
  get digest(): string {
    return this.asked().digest();
  }

  /** In bytes; of a tree, of all its files. */
  get size(): number {
    return this.asked().size();
  }

  /** The content of a file of up to 16 MiB. */
  bytes(): Uint8Array {
    return call(() => this.asked().bytes());
  }

  /** The same of a file that is text in UTF-8. */
  text(): string {
    const text = decoded(this.bytes());
    if (text === null) throw new StepError("invalid", `the artifact \`${this.digest}\` is not text in UTF-8`);
    return text;
  }

  /** Makes a file or folder of the workspace equal to it; whether that changed it. */
  save(path: string): boolean {
    return call(() => this.asked().save(text("path", path)));
  }

  /** Gives it back, for a step that makes many: it may hold 1024. It is of no use then, nor is what it was put into. */
  drop(): void {
    this.raw[Symbol.dispose]();
  }

  /** Without the interface there are handles, and nothing can be asked of them. */
  private asked(): wit.Artifact {
    if (typeof this.raw.digest !== "function") {
      const mend = 'add "artifacts" to `imports` in step.toml';
      throw new StepError("invalid", `the step uses the interface \`artifacts\`: ${mend}`);
    }
    return this.raw;
  }
}
