// Calls of the host: what it fails with is thrown as a `StepError`, and what would end the component with no text (a value
// of another type than the contract's) is refused before.
/// <reference path="./contract.d.ts" />
import type { Attributes, Effect } from "runner:step/types@0.1.0";
import { StepError } from "./errors.ts";

/** Calls the host. */
export function call<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    const failed = (error as { payload?: { kind?: unknown } } | null)?.payload;
    if (typeof failed?.kind !== "string") throw error;
    const { kind, message, detail } = failed as { kind: StepError["kind"]; message: string; detail: string };
    throw new StepError(kind, message, detail);
  }
}

/** Does something with a handle, and gives it back: a step may hold 1024 of them. */
export function held<R extends Disposable, T>(raw: R, act: (raw: R) => T): T {
  try {
    return act(raw);
  } finally {
    raw[Symbol.dispose]();
  }
}

function invalid(what: string, wanted: string, value: unknown): StepError {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new StepError("invalid", `\`${what}\` must be ${wanted}, and is ${shown}`);
}

/** A text. */
export function text(what: string, value: string): string {
  if (typeof value !== "string") throw invalid(what, "text", value);
  if (!value.isWellFormed()) throw invalid(what, "text that is Unicode", value);
  return value;
}

/** An object of a class, whose name a bundle may change. */
export function instance<T>(what: string, value: T, kind: Function, name: string): T {
  if (!(value instanceof kind)) throw invalid(what, `a \`${name}\``, value);
  return value;
}

/** A list of texts. */
export function texts(what: string, values: readonly string[]): string[] {
  if (!Array.isArray(values)) throw invalid(what, "a list of texts", values);
  return values.map((value, index) => text(`${what}[${index}]`, value));
}

/** A whole number that fits a `u32`. QuickJS takes half of them. */
export function number(what: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0x7fff_ffff) {
    throw invalid(what, "a whole number from 0 to 2147483647", value);
  }
  return value;
}

/** One of some words. */
export function word<T extends string>(what: string, value: T, words: readonly T[]): T {
  if (!words.includes(value)) throw invalid(what, `one of ${words.join(", ")}`, value);
  return value;
}

const EFFECTS: readonly Effect[] = ["read", "change", "signal", "leave", "join", "opaque"];

/** What a command, a request or a talk over a socket does to the world, as its step declares it. */
export function effect(value: Effect): Effect {
  return word("effect", value, EFFECTS);
}

/** Who owns a file and who may do what with it. What is left out stays as it is. */
export interface Owned {
  /** A user's name, or a number in decimal. */
  owner?: string;
  /** A group's name, or a number in decimal. */
  group?: string;
}

/** The same with permission bits. */
export interface Mode extends Owned {
  /** Permission bits, as in `0o644`. */
  mode?: number;
}

/** As the contract has it. */
export function attributes(given: Mode = {}): Attributes {
  return {
    mode: given.mode == null ? null : number("mode", given.mode),
    owner: given.owner == null ? null : text("owner", given.owner),
    group: given.group == null ? null : text("group", given.group),
  };
}
