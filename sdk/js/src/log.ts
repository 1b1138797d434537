// Lines for people, shown live and kept in the report. Always granted. `console` writes here, too.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/log@0.1.0";
import { number, text } from "./host.ts";

// A log never fails: what is not text is made text.
const line = (message: unknown): string => String(message).toWellFormed();

/** For the author of the step; shown with `-v`. */
export const debug = (message: string): void => wit.debug(line(message));
/** What the step is doing. */
export const info = (message: string): void => wit.info(line(message));
/** Something to look at that does not stop the step. */
export const warn = (message: string): void => wit.warn(line(message));
/** Something failed. Only where it is not also the error that is thrown. */
export const error = (message: string): void => wit.error(line(message));
/** Moves the progress bar. `total` 0: not known. `what` is the unit in the plural: "rows". */
export const progress = (done: number, total: number, what: string): void =>
  wit.progress(number("done", done), number("total", total), text("what", what));
