// Types of parameters and outputs: one declaration gives the values, their types in TypeScript, and the JSON Schema that is
// in the manifest.
import { StepError } from "./errors.ts";

/** A type of values in a plan. `T` is what it is in a step. */
export class Schema<T> {
  /** Never there: it carries the type. */
  declare readonly type: T;
  /** The JSON Schema. */
  readonly json: Record<string, unknown>;
  /** Whether it may be left out. */
  readonly mayBeAbsent: boolean;
  /** The value when it is left out. */
  readonly whenAbsent: T;
  /** From JSON. */
  readonly read: (value: unknown, place: string) => T;
  /** To JSON. */
  readonly write: (value: T) => unknown;

  constructor(
    json: Record<string, unknown>,
    read: (value: unknown, place: string) => T,
    write: (value: T) => unknown,
    mayBeAbsent = false,
    whenAbsent?: T,
  ) {
    this.json = json;
    this.read = read;
    this.write = write;
    this.mayBeAbsent = mayBeAbsent;
    this.whenAbsent = whenAbsent as T;
  }

  /** It may be left out, and is `undefined` then. */
  optional(): Schema<T | undefined> {
    const write = (value: T | undefined) => (value === undefined ? undefined : this.write(value));
    return new Schema<T | undefined>(this.json, this.read, write, true);
  }

  /** It may be left out, and has this value then. */
  default(value: T): Schema<T> {
    return new Schema<T>({ ...this.json, default: this.write(value) }, this.read, this.write, true, value);
  }
}

/** What a declaration is in a step: `type Params = Infer<typeof params>`. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** Rules for whole numbers and numbers. */
export interface Range {
  minimum?: number;
  maximum?: number;
}

/** Rules for texts. */
export interface Letters {
  minLength?: number;
  maxLength?: number;
  /** A regular expression. */
  pattern?: string;
}

function plain<T>(
  words: string,
  json: Record<string, unknown>,
  description: string | undefined,
  is: (value: unknown) => boolean,
) {
  const read = (value: unknown, place: string): T => {
    if (!is(value)) throw new StepError("invalid", `\`${place}\` must be ${words}`);
    return value as T;
  };
  return new Schema<T>(described(json, description), read, (value) => value);
}

function described(json: Record<string, unknown>, description?: string): Record<string, unknown> {
  return description ? { ...json, description } : json;
}

/** Text. */
export const string = (description?: string, rules: Letters = {}): Schema<string> =>
  plain("text", { type: "string", ...rules }, description, (value) => typeof value === "string");

/** Yes or no. */
export const boolean = (description?: string): Schema<boolean> =>
  plain("true or false", { type: "boolean" }, description, (value) => typeof value === "boolean");

/** A whole number that a `number` can be: of at most 2^53 - 1. */
export const integer = (description?: string, rules: Range = {}): Schema<number> =>
  plain("a whole number", { type: "integer", ...rules }, description, Number.isSafeInteger);

/** A number. */
export const number = (description?: string, rules: Range = {}): Schema<number> =>
  plain("a number", { type: "number", ...rules }, description, (value) => typeof value === "number");

/** One of these texts. */
export const oneOf = <T extends string>(words: readonly T[], description?: string): Schema<T> => {
  const shown = words.map((word) => `\`${word}\``).join(", ");
  return plain(`one of ${shown}`, { type: "string", enum: [...words] }, description, (value) => words.includes(value as T));
};

/** A list. */
export function array<T>(item: Schema<T>, description?: string, rules: { minItems?: number } = {}): Schema<T[]> {
  const read = (value: unknown, place: string): T[] => {
    if (!Array.isArray(value)) throw new StepError("invalid", `\`${place}\` must be a list`);
    return value.map((one, index) => item.read(one, `${place}[${index}]`));
  };
  const json = described({ type: "array", items: item.json, ...rules }, description);
  return new Schema<T[]>(json, read, (value) => value.map(item.write));
}

/** A table whose names the plan's author chooses. */
export function record<T>(item: Schema<T>, description?: string): Schema<Record<string, T>> {
  const each = <A, B>(value: Record<string, A>, map: (one: A, name: string) => B): Record<string, B> =>
    Object.fromEntries(Object.entries(value).map(([name, one]) => [name, map(one, name)]));
  const read = (value: unknown, place: string): Record<string, T> =>
    each(table(value, place), (one, name) => item.read(one, `${place}.${name}`));
  const json = described({ type: "object", additionalProperties: item.json }, description);
  return new Schema<Record<string, T>>(json, read, (value) => each(value, item.write));
}

type Fields = Record<string, Schema<any>>;
type Absent<F extends Fields> = { [N in keyof F]: undefined extends Infer<F[N]> ? N : never }[keyof F];
type Values<F extends Fields> = { [N in Exclude<keyof F, Absent<F>>]: Infer<F[N]> } & {
  [N in Absent<F>]?: Infer<F[N]>;
};

/** A table of these fields. A field's name in a plan is `kebab-case`, and in a step `camelCase`. */
export function object<F extends Fields>(fields: F, description?: string): Schema<Values<F>> {
  const known = Object.entries(fields).map(([field, schema]) => ({ field, name: kebab(field), schema }));
  for (const [at, { field, name }] of known.entries()) {
    const before = known.slice(0, at).find((one) => one.name === name);
    if (before) throw new TypeError(`\`${before.field}\` and \`${field}\` are both \`${name}\` in a plan`);
  }
  const required = known.filter(({ schema }) => !schema.mayBeAbsent).map(({ name }) => name);
  const json: Record<string, unknown> = {
    type: "object",
    properties: Object.fromEntries(known.map(({ name, schema }) => [name, schema.json])),
    additionalProperties: false,
    ...(required.length > 0 ? { required } : {}),
  };
  const read = (value: unknown, place: string): Values<F> => {
    const given = table(value, place || "parameters");
    const inside = (name: string) => (place ? `${place}.${name}` : name);
    for (const name of Object.keys(given)) {
      if (!known.some((one) => one.name === name)) {
        throw new StepError("invalid", `there is no \`${inside(name)}\``);
      }
    }
    const found = known.map(({ field, name, schema }) => {
      if (Object.hasOwn(given, name)) return [field, schema.read(given[name], inside(name))];
      if (!schema.mayBeAbsent) throw new StepError("invalid", `\`${inside(name)}\` is missing`);
      return [field, schema.whenAbsent];
    });
    return Object.fromEntries(found);
  };
  const write = (value: Values<F>): unknown =>
    Object.fromEntries(known.map(({ field, name, schema }) => [name, schema.write((value as any)[field])]));
  return new Schema<Values<F>>(described(json, description), read, write);
}

function table(value: unknown, place: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new StepError("invalid", `\`${place}\` must be a table`);
  }
  return value as Record<string, unknown>;
}

/** A capital begins a word, and several of them are one: `healthURL` is `health-url`. */
const kebab = (name: string): string =>
  name.replace(/[A-Z]+(?![a-z])|[A-Z]/g, (word, at: number) => `${at > 0 ? "-" : ""}${word.toLowerCase()}`);
