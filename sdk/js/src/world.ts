// What the component exports: `describe` and `run` of a step. The builder's entry calls this.
import { StepError } from "./errors.ts";
import * as log from "./log.ts";
import { manifest, type Step } from "./step.ts";

/** The exports, for the step that is the default export of the source. */
export function world(step: Step<any, any>, name: string): { describe(): string; run(params: string): string } {
  if (typeof step?.run !== "function") {
    throw new TypeError("the source has no step: `export default step({ … })`");
  }
  if (step.name !== name) {
    throw new TypeError(`the step is called \`${step.name}\`, and in step.toml \`${name}\``);
  }
  const described = JSON.stringify(manifest(step));
  speak();
  return {
    describe: () => described,
    run(params) {
      try {
        const outputs = step.run(step.params.read(JSON.parse(params), ""));
        if (typeof (outputs as any)?.then === "function") {
          throw new TypeError("`run` answered with a promise: calls of the host are not asynchronous, nor is `run`");
        }
        return JSON.stringify(step.outputs ? sent(step.outputs.write(outputs), "") : {}) ?? "{}";
      } catch (error) {
        throw contract(error);
      }
    },
  };
}

/** What JSON in UTF-8 has: texts that are Unicode, and numbers that are finite. */
function sent(value: unknown, place: string): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new StepError("other", `outputs: \`${place}\` is not a finite number`);
  }
  if (Array.isArray(value)) return value.map((one, index) => sent(one, `${place}[${index}]`));
  if (typeof value !== "object" || value === null || "toJSON" in value) return value;
  const inside = (name: string) => (place ? `${place}.${name}` : name);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name.toWellFormed(), sent(one, inside(name))]));
}

/** The contract's error. What is no `StepError` is a bug: its stack goes into `detail`. */
function contract(error: unknown): { kind: string; message: string; detail: string } {
  if (error instanceof StepError) {
    const { kind, message, detail } = error;
    return { kind, message: String(message).toWellFormed(), detail: String(detail).toWellFormed() };
  }
  const bug = error instanceof Error ? error : new Error(String(error));
  const said = `${bug.name}: ${bug.message}`.toWellFormed();
  return { kind: "other", message: said, detail: `${said}\n${bug.stack ?? ""}`.trimEnd().toWellFormed() };
}

/** `console`, which QuickJS has not. */
function speak(): void {
  const line = (write: (message: string) => void) => (...values: unknown[]) => write(values.map(shown).join(" "));
  (globalThis as any).console = {
    debug: line(log.debug),
    log: line(log.info),
    info: line(log.info),
    warn: line(log.warn),
    error: line(log.error),
  };
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}\n${value.stack ?? ""}`.trimEnd();
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
