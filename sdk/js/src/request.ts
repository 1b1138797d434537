// Requests to granted origins. Needs the interface `http`, and `targets` for `via`.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/http@0.1.0";
import type { Effect } from "runner:step/types@0.1.0";
import { Artifact } from "./artifact.ts";
import { call, effect as checked, number, text } from "./host.ts";
import { Secret } from "./secret.ts";
import type { Target } from "./target.ts";

/** An answer, of whatever status: a status is not an error. */
export class Response {
  readonly status: number;
  /** In the order of the answer, names in lower case. */
  readonly headers: readonly wit.Header[];
  /** The first 1 MiB. */
  readonly body: string;
  /** There was more. */
  readonly truncated: boolean;
  /** It was not sent: this is a dry run and the effect is not `read`. */
  readonly skipped: boolean;

  constructor(raw: wit.Response) {
    this.status = raw.status;
    this.headers = raw.headers;
    this.body = raw.body;
    this.truncated = raw.truncated;
    this.skipped = raw.skipped;
  }

  /** The value of the first header of this name, in any case; `null` when there is none. */
  header(name: string): string | null {
    const wanted = text("name", name).toLowerCase();
    return this.headers.find((one) => one.name === wanted)?.value ?? null;
  }
}

/** A request in the making. Each method but `send` and `download` answers with the request itself. */
export class Request {
  private readonly raw: wit.Request;

  /** `GET` and `HEAD` are reads, all else is `opaque` unless `effect` says otherwise. */
  constructor(method: string, url: string, effect?: Effect) {
    const usual: Effect = method === "GET" || method === "HEAD" ? "read" : "opaque";
    this.raw = new wit.Request(text("method", method), text("url", url), checked(effect ?? usual));
  }

  /** A `GET`. */
  static get(url: string): Request {
    return new Request("GET", url);
  }

  /** Adds a header; the value of a secret never shows. */
  header(name: string, value: string | Secret): this {
    if (value instanceof Secret) this.raw.headerSecret(text("name", name), value.raw);
    else this.raw.header(text("name", name), text("value", value));
    return this;
  }

  /** Sets the body; without, there is none. */
  body(content: string | Secret | Artifact): this {
    if (content instanceof Secret) this.raw.bodySecret(content.raw);
    else if (content instanceof Artifact) this.raw.bodyArtifact(content.raw);
    else this.raw.body(text("content", content));
    return this;
  }

  /** Sends it through this target's connection, so that `127.0.0.1` is the target's own. */
  via(target: Target): this {
    this.raw.via(target.raw);
    return this;
  }

  /** Connects to this address; host, certificate and grant stay the URL's. */
  connectTo(address: string): this {
    this.raw.connectTo(text("address", address));
    return this;
  }

  /** Milliseconds for all of it; without, 30,000. */
  timeout(milliseconds: number): this {
    this.raw.timeout(number("milliseconds", milliseconds));
    return this;
  }

  /** What undoes it; required for `change`, `leave` and `join`. The undo is used up. */
  undoWith(undo: Request): this {
    this.raw.undoWith(undo.raw);
    return this;
  }

  /** Twice is as good as once: a resume in doubt sends it again. */
  repeatable(): this {
    this.raw.repeatable();
    return this;
  }

  /** Sends it and reads the answer. */
  send(): Response {
    return new Response(call(() => this.raw.send()));
  }

  /** Stores the body of a 2xx answer; any other status is an error. */
  download(): Artifact {
    return new Artifact(call(() => this.raw.download()));
  }
}
