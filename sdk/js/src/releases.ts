// The releases below a release root. Needs the interfaces `releases` and `targets`.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/releases@0.1.0";
import { call, text } from "./host.ts";
import type { Target } from "./target.ts";

/** One version laid out on a target. */
export type Release = wit.Release;

/** Those that are complete, newest first. */
export const all = (target: Target, root: string): Release[] => call(() => wit.all(target.raw, text("root", root)));
/** The good release before the live one; `null`: there is none. */
export const previous = (target: Target, root: string): Release | null =>
  call(() => wit.previous(target.raw, text("root", root)));
