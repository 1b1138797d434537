// The handle of a secret, a value that a step uses and never sees.
/// <reference path="./contract.d.ts" />
import type * as wit from "runner:step/secrets@0.1.0";
import { text } from "./host.ts";

/** A value in the host. What is made of it is a secret too. */
export class Secret {
  /** The contract's. */
  readonly raw: wit.Secret;

  constructor(raw: wit.Secret) {
    this.raw = raw;
  }

  /** With text around it: `token.wrap("Bearer ")`. */
  wrap(before = "", after = ""): Secret {
    return new Secret(this.raw.wrap(text("before", before), text("after", after)));
  }

  /** With another one behind it. */
  append(other: Secret): Secret {
    return new Secret(this.raw.append(other.raw));
  }

  /** In base64, as `authorization: Basic` wants it. */
  base64(): Secret {
    return new Secret(this.raw.base64());
  }

  /** Percent-encoded, for a part of a URL. */
  urlEncode(): Secret {
    return new Secret(this.raw.urlEncode());
  }

  /** Gives it back, for a step that makes many: it may hold 1024. It is of no use then, nor is what it was put into. */
  drop(): void {
    this.raw[Symbol.dispose]();
  }
}
