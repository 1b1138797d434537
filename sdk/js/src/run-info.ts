// What this invocation is part of. Needs the interface `run-info`; always granted.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/run-info@0.1.0";
import { text } from "./host.ts";

/** Names this run and its folder. */
export const runId = (): string => wit.runId();
/** The id of this step in the plan. */
export const stepId = (): string => wit.stepId();
/** The environment that is released to. */
export const environment = (): string => wit.environment();
/** The release that this run makes; `null` when the plan makes none. */
export const releaseId = (): string | null => wit.releaseId();
/** The release that was live on the subject when the run began. */
export const previousRelease = (): string | null => wit.previousRelease();
/** The target on whose behalf the step runs; differs from `Target.current` where the plan says `on`. */
export const subject = (): string | null => wit.subject();
/** A variable of the subject, from the inventory. */
export const variable = (name: string): string | null => wit.variable(text("name", name));
/** The same for every attempt at this step, on this subject, in this run: an idempotency key. */
export const operationKey = (): string => wit.operationKey();
