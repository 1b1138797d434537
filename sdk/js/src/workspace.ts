// Files beside the plan, under the folders that are granted. Needs the interface `workspace`.
/// <reference path="./contract.d.ts" />
import type { Entry } from "runner:step/types@0.1.0";
import * as wit from "runner:step/workspace@0.1.0";
import { call, text } from "./host.ts";

/** What is at the path; `null` when there is nothing. */
export const stat = (path: string): Entry | null => call(() => wit.stat(text("path", path)));
/** What is in the folder, sorted by name. */
export const readDir = (path: string): Entry[] => call(() => wit.readDir(text("path", path)));
/** The text of a file of up to 1 MiB. */
export const read = (path: string): string => call(() => wit.read(text("path", path)));
/** Of a file's content, or of a folder's manifest. */
export const digest = (path: string): string => call(() => wit.digest(text("path", path)));
/** Makes the file have this text; whether that changed it. */
export const write = (path: string, content: string): boolean =>
  call(() => wit.write(text("path", path), text("content", content)));
