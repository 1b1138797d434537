// Commands on a target, for what no typed verb does. Needs the interfaces `commands` and `targets`.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/commands@0.1.0";
import type { Effect } from "runner:step/types@0.1.0";
import { Artifact } from "./artifact.ts";
import { call, effect as checked, number, text, texts } from "./host.ts";
import { Secret } from "./secret.ts";
import type { Target } from "./target.ts";

/** How a command ended. */
export type Output = wit.Output;

/** A program and its arguments, which no shell sees. Each method but `run` answers with the command itself. */
export class Command {
  private readonly raw: wit.Command;

  /** `effect`: what it does to the world. `read` changes nothing and is done in a dry run, `change` needs an undo. */
  constructor(argv: readonly string[], effect: Effect) {
    this.raw = new wit.Command(texts("argv", argv), checked(effect));
  }

  /** Sets a variable; the value of a secret never shows. */
  env(name: string, value: string | Secret): this {
    if (value instanceof Secret) this.raw.envSecret(text("name", name), value.raw);
    else this.raw.env(text("name", name), text("value", value));
    return this;
  }

  /** Gives it something to read; without, stdin is empty. */
  stdin(content: string | Secret | Artifact): this {
    if (content instanceof Secret) this.raw.stdinSecret(content.raw);
    else if (content instanceof Artifact) this.raw.stdinArtifact(content.raw);
    else this.raw.stdin(text("content", content));
    return this;
  }

  /** Gives it a file on the target; `decompress` unpacks one whose name ends with `.zst` or `.gz`. */
  stdinFile(path: string, options: { decompress?: boolean } = {}): this {
    this.raw.stdinFile(text("path", path));
    if (options.decompress) this.raw.decompress();
    return this;
  }

  /** Writes stdout to this file on the target; `compress` packs it: its name ends with `.zst` or `.gz`. */
  stdoutTo(path: string, options: { compress?: boolean } = {}): this {
    this.raw.stdoutTo(text("path", path));
    if (options.compress) this.raw.compress();
    return this;
  }

  /** The working folder; without, the user's home. */
  directory(path: string): this {
    this.raw.directory(text("path", path));
    return this;
  }

  /** Milliseconds until all of it is killed; without, 60,000. */
  timeout(milliseconds: number): this {
    this.raw.timeout(number("milliseconds", milliseconds));
    return this;
  }

  /** More exit statuses that are no failure, beside 0. */
  accept(...statuses: number[]): this {
    for (const status of statuses) this.raw.accept(number("status", status));
    return this;
  }

  /** A `read` command that is run first: when it ends with 0, this one is skipped. The check is used up. */
  skipIf(check: Command): this {
    this.raw.skipIf(check.raw);
    return this;
  }

  /** What undoes it; required for `change`, `leave` and `join`. The undo is used up. */
  undoWith(undo: Command): this {
    this.raw.undoWith(undo.raw);
    return this;
  }

  /** All that a `change` leaves is the file of `stdoutTo`, and an undo keeps it: a dump. */
  keep(): this {
    this.raw.keep();
    return this;
  }

  /** Twice is as good as once: a resume in doubt runs it again. */
  repeatable(): this {
    this.raw.repeatable();
    return this;
  }

  /** Runs it and waits for its end. Fails with `command-failed` where its status is not accepted. */
  run(on: Target): Output {
    return call(() => this.raw.run(on.raw));
  }
}
