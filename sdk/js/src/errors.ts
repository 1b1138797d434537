// The one error of host calls and of steps. Let those of the host pass: they say what helps.
/// <reference path="./contract.d.ts" />
import type { ErrorKind } from "runner:step/types@0.1.0";

export type { ErrorKind };

/** What a host call fails with, and what a step fails with. */
export class StepError extends Error {
  /** For programs. */
  readonly kind: ErrorKind;
  /** What helps to mend it: the end of stderr, a line for the plan. Empty when there is nothing. */
  readonly detail: string;

  /** `message`: one lower-case line that says what failed, and names it. */
  constructor(kind: ErrorKind, message: string, detail = "") {
    super(message);
    this.name = "StepError";
    this.kind = kind;
    this.detail = detail;
  }
}

/** Whether something that was caught is a `StepError`, of one of these kinds where there are any. */
export function isStepError(error: unknown, ...kinds: ErrorKind[]): error is StepError {
  return error instanceof StepError && (kinds.length === 0 || kinds.includes(error.kind));
}
