// What a step is: what the manifest says of it, and a function.
import { object, type Schema } from "./schema.ts";

/** A step. */
export interface Step<P, O> {
  /** As `step.toml` has it. */
  name: string;
  /** The author's version of it. */
  version: string;
  /** One line: what it does. */
  summary: string;
  /** More, in Markdown. */
  documentation?: string;
  /** Where it runs; without, on each target. */
  runs?: "each-target" | "once";
  /** What the plan gives it: `object({ … })`. */
  params: Schema<P>;
  /** What later steps may refer to: `object({ … })`; without, nothing. */
  outputs?: Schema<O>;
  /** What it needs on targets: templates of grants over the parameters, as in `write:${file}`. Ask for the least. */
  ssh?: string[];
  /** What it needs over HTTP. */
  http?: string[];
  /** What it needs beside the plan. */
  files?: string[];
  /** The secrets that it needs. */
  secrets?: string[];
  /** Does the work, once per fresh instance. */
  run(params: P): O;
}

/** Declares a step: `export default step({ … })`. */
export function step<P, O = void>(declared: Step<P, O>): Step<P, O> {
  return declared;
}

/** The manifest, for `JSON.stringify`. */
export function manifest(step: Step<any, any>): Record<string, unknown> {
  const { ssh, http, files, secrets } = step;
  const needs = Object.entries({ ssh, http, files, secrets }).filter(([, grants]) => grants && grants.length > 0);
  return {
    name: step.name,
    version: step.version,
    summary: step.summary,
    documentation: (step.documentation ?? "").trim(),
    runs: step.runs ?? "each-target",
    parameters: changed(step.params.json, safe),
    // Later versions may give more: whoever reads outputs takes what they know.
    outputs: changed((step.outputs ?? object({})).json, open),
    capabilities: Object.fromEntries(needs),
  };
}

type Rules = Record<string, unknown>;

/** The same schema where a whole number is one that a `number` can be: what would be another one is refused. */
function safe(rules: Rules): Rules {
  if (rules.type !== "integer") return rules;
  const { minimum = -Infinity, maximum = Infinity } = rules as { minimum?: number; maximum?: number };
  return {
    ...rules,
    minimum: Math.max(minimum, Number.MIN_SAFE_INTEGER),
    maximum: Math.min(maximum, Number.MAX_SAFE_INTEGER),
  };
}

/** The same schema where no table refuses what it does not know. */
function open({ additionalProperties, ...rules }: Rules): Rules {
  return additionalProperties ? { ...rules, additionalProperties } : rules;
}

/** A schema with a change that is made to it and to all in it. */
function changed(schema: unknown, change: (rules: Rules) => Rules): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.entries(schema).map(([rule, value]) => {
    if (rule === "items" || rule === "additionalProperties") return [rule, changed(value, change)];
    if (rule !== "properties") return [rule, value];
    return [rule, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, changed(one, change)]))];
  });
  return change(Object.fromEntries(inner));
}
