// Secrets. Needs the interface `secrets`.
/// <reference path="./contract.d.ts" />
import { get as given } from "runner:step/secrets@0.1.0";
import { call, text } from "./host.ts";
import { Secret } from "./secret.ts";

/** A secret that the plan gives to this step, by its name. */
export const get = (name: string): Secret => new Secret(call(() => given(text("name", name))));
