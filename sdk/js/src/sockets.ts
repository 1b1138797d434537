// Unix sockets on a target. Needs the interfaces `sockets` and `targets`.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/sockets@0.1.0";
import type { Effect } from "runner:step/types@0.1.0";
import { call, effect as checked, text } from "./host.ts";
import type { Target } from "./target.ts";

/** Connects, sends the text, and answers all that comes back until the other side closes. */
export const exchange = (on: Target, path: string, content: string, effect: Effect): string =>
  call(() => wit.exchange(on.raw, text("path", path), text("content", content), checked(effect)));
