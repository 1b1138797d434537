// Time that a replay repeats. Needs the interface `timer`; always granted. In milliseconds, as `Date` counts.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/timer@0.1.0";
import { call, number } from "./host.ts";

/** Milliseconds since 1970-01-01 UTC, as `Date.now`, and recorded in the journal. */
export const now = (): number => wit.now();
/** Waits; in a dry run and in a replay it returns at once. */
export const sleep = (milliseconds: number): void => call(() => wit.sleep(number("milliseconds", milliseconds)));
