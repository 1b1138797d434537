// Commands on a target, for what no typed verb does. Needs the interfaces `commands` and `targets`.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/commands@0.1.0";
import type { Effect } from "runner:step/types@0.1.0";
import { Artifact } from "./artifact.ts";
import { call, effect as checked, held, instance, number, text, texts } from "./host.ts";
import { Secret } from "./secret.ts";
import type { Target } from "./target.ts";

/** How a command ended. */
export type Output = wit.Output;

/** A program and its arguments, which no shell sees. Each method but `run` answers with the command itself. */
export class Command {
  private readonly argv: string[];
  private readonly effect: Effect;
  /** All that is put into the host's when it is run. */
  private readonly parts: ((raw: wit.Command) => void)[] = [];

  /** `effect`: what it does to the world. `read` changes nothing and is done in a dry run, `change` needs an undo. */
  constructor(argv: readonly string[], effect: Effect) {
    this.argv = texts("argv", argv);
    this.effect = checked(effect);
  }

  /** Sets a variable; the value of a secret never shows. */
  env(name: string, value: string | Secret): this {
    const as = text("name", name);
    if (value instanceof Secret) return this.with((raw) => raw.envSecret(as, value.raw));
    const plain = text("value", value);
    return this.with((raw) => raw.env(as, plain));
  }

  /** Gives it something to read; without, stdin is empty. */
  stdin(content: string | Secret | Artifact): this {
    if (content instanceof Secret) return this.with((raw) => raw.stdinSecret(content.raw));
    if (content instanceof Artifact) return this.with((raw) => raw.stdinArtifact(content.raw));
    const plain = text("content", content);
    return this.with((raw) => raw.stdin(plain));
  }

  /** Gives it a file on the target; `decompress` unpacks one whose name ends with `.zst` or `.gz`. */
  stdinFile(path: string, options: { decompress?: boolean } = {}): this {
    const from = text("path", path);
    this.with((raw) => raw.stdinFile(from));
    return options.decompress ? this.with((raw) => raw.decompress()) : this;
  }

  /** Writes stdout to this file on the target; `compress` packs it: its name ends with `.zst` or `.gz`. */
  stdoutTo(path: string, options: { compress?: boolean } = {}): this {
    const to = text("path", path);
    this.with((raw) => raw.stdoutTo(to));
    return options.compress ? this.with((raw) => raw.compress()) : this;
  }

  /** The working folder; without, the user's home. */
  directory(path: string): this {
    const inside = text("path", path);
    return this.with((raw) => raw.directory(inside));
  }

  /** Milliseconds until all of it is killed; without, 60,000. */
  timeout(milliseconds: number): this {
    const after = number("milliseconds", milliseconds);
    return this.with((raw) => raw.timeout(after));
  }

  /** More exit statuses that are no failure, beside 0. */
  accept(...statuses: number[]): this {
    const fine = statuses.map((status) => number("status", status));
    return this.with((raw) => fine.forEach((status) => raw.accept(status)));
  }

  /** A `read` command that is run first, as it is now: when it ends with 0, this one is skipped. */
  skipIf(check: Command): this {
    const make = instance("check", check, Command, "Command").maker();
    return this.with((raw) => raw.skipIf(make()));
  }

  /** What undoes it, as it is now; required for `change`, `leave` and `join`. */
  undoWith(undo: Command): this {
    const make = instance("undo", undo, Command, "Command").maker();
    return this.with((raw) => raw.undoWith(make()));
  }

  /** All that a `change` leaves is the file of `stdoutTo`, and an undo keeps it: a dump. */
  keep(): this {
    return this.with((raw) => raw.keep());
  }

  /** Twice is as good as once: a resume in doubt runs it again. */
  repeatable(): this {
    return this.with((raw) => raw.repeatable());
  }

  /** Runs it and waits for its end. Fails with `command-failed` where its status is not accepted. */
  run(on: Target): Output {
    return held(this.maker()(), (raw) => call(() => raw.run(on.raw)));
  }

  private with(part: (raw: wit.Command) => void): this {
    this.parts.push(part);
    return this;
  }

  /** Makes the host's, of what has been put into it by now. */
  private maker(): () => wit.Command {
    const parts = [...this.parts];
    return () => {
      const raw = new wit.Command(this.argv, this.effect);
      for (const part of parts) part(raw);
      return raw;
    };
  }
}
