// Requests to granted origins. Needs the interface `http`, and `targets` for `via`.
/// <reference path="./contract.d.ts" />
import * as wit from "runner:step/http@0.1.0";
import type { Effect } from "runner:step/types@0.1.0";
import { Artifact } from "./artifact.ts";
import { call, effect as checked, held, instance, number, text } from "./host.ts";
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
  private readonly method: string;
  private readonly url: string;
  private readonly effect: Effect;
  /** All that is put into the host's when it is sent. */
  private readonly parts: ((raw: wit.Request) => void)[] = [];

  /** `GET` and `HEAD` are reads, all else is `opaque` unless `effect` says otherwise. */
  constructor(method: string, url: string, effect?: Effect) {
    const usual: Effect = method === "GET" || method === "HEAD" ? "read" : "opaque";
    this.method = text("method", method);
    this.url = text("url", url);
    this.effect = checked(effect ?? usual);
  }

  /** A `GET`. */
  static get(url: string): Request {
    return new Request("GET", url);
  }

  /** Adds a header; the value of a secret never shows. */
  header(name: string, value: string | Secret): this {
    const as = text("name", name);
    if (value instanceof Secret) return this.with((raw) => raw.headerSecret(as, value.raw));
    const plain = text("value", value);
    return this.with((raw) => raw.header(as, plain));
  }

  /** Sets the body; without, there is none. */
  body(content: string | Secret | Artifact): this {
    if (content instanceof Secret) return this.with((raw) => raw.bodySecret(content.raw));
    if (content instanceof Artifact) return this.with((raw) => raw.bodyArtifact(content.raw));
    const plain = text("content", content);
    return this.with((raw) => raw.body(plain));
  }

  /** Sends it through this target's connection, so that `127.0.0.1` is the target's own. */
  via(target: Target): this {
    const through = target.raw;
    return this.with((raw) => raw.via(through));
  }

  /** Connects to this address; host, certificate and grant stay the URL's. */
  connectTo(address: string): this {
    const to = text("address", address);
    return this.with((raw) => raw.connectTo(to));
  }

  /** Milliseconds for all of it; without, 30,000. */
  timeout(milliseconds: number): this {
    const after = number("milliseconds", milliseconds);
    return this.with((raw) => raw.timeout(after));
  }

  /** What undoes it, as it is now; required for `change`, `leave` and `join`. */
  undoWith(undo: Request): this {
    const make = instance("undo", undo, Request, "Request").maker();
    return this.with((raw) => raw.undoWith(make()));
  }

  /** Twice is as good as once: a resume in doubt sends it again. */
  repeatable(): this {
    return this.with((raw) => raw.repeatable());
  }

  /** Sends it and reads the answer. */
  send(): Response {
    return new Response(held(this.maker()(), (raw) => call(() => raw.send())));
  }

  /** Stores the body of a 2xx answer; any other status is an error. */
  download(): Artifact {
    return new Artifact(held(this.maker()(), (raw) => call(() => raw.download())));
  }

  private with(part: (raw: wit.Request) => void): this {
    this.parts.push(part);
    return this;
  }

  /** Makes the host's, of what has been put into it by now. */
  private maker(): () => wit.Request {
    const parts = [...this.parts];
    return () => {
      const raw = new wit.Request(this.method, this.url, this.effect);
      for (const part of parts) part(raw);
      return raw;
    };
  }
}
