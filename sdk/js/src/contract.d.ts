// The contract `runner:step@0.1.0` as QuickJS sees it. The contract is frozen: this was written by hand from its WIT.
// `none` is `null`; a call that fails throws an object whose `payload` is a `types.Error`.
/// <reference lib="esnext.disposable" />
/// <reference lib="esnext.typedarrays" />

declare module "runner:step/types@0.1.0" {
  export type ErrorKind =
    | "denied" | "unreachable" | "timeout" | "not-found" | "conflict" | "command-failed" | "invalid" | "cancelled"
    | "other";
  export type Error = { kind: ErrorKind; message: string; detail: string };
  export type Effect = "read" | "change" | "signal" | "leave" | "join" | "opaque";
  export type EntryKind = "file" | "directory" | "symlink" | "other";
  export type Entry = {
    name: string;
    kind: EntryKind;
    size: number;
    mode: number;
    owner: string;
    group: string;
    modified: number;
  };
  export type Attributes = { mode: number | null; owner: string | null; group: string | null };
  export type Link = { path: string; pointsTo: string };
}

declare module "runner:step/log@0.1.0" {
  export function debug(message: string): void;
  export function info(message: string): void;
  export function warn(message: string): void;
  export function error(message: string): void;
  export function progress(done: number, total: number, what: string): void;
}

declare module "runner:step/run-info@0.1.0" {
  export function runId(): string;
  export function stepId(): string;
  export function environment(): string;
  export function releaseId(): string | null;
  export function previousRelease(): string | null;
  export function subject(): string | null;
  export function variable(name: string): string | null;
  export function operationKey(): string;
}

declare module "runner:step/timer@0.1.0" {
  export function now(): number;
  export function sleep(milliseconds: number): void;
}

declare module "runner:step/secrets@0.1.0" {
  export class Secret {
    private constructor();
    [Symbol.dispose](): void;
    wrap(before: string, after: string): Secret;
    append(other: Secret): Secret;
    base64(): Secret;
    urlEncode(): Secret;
  }
  export function get(name: string): Secret;
}

declare module "runner:step/artifacts@0.1.0" {
  export class Artifact {
    private constructor();
    [Symbol.dispose](): void;
    digest(): string;
    size(): number;
    bytes(): Uint8Array;
    save(path: string): boolean;
  }
  export function pack(path: string, exclude: string[]): Artifact;
  export function open(digest: string): Artifact;
  export function fromBytes(content: Uint8Array): Artifact;
}

declare module "runner:step/targets@0.1.0" {
  import type { Artifact } from "runner:step/artifacts@0.1.0";
  import type { Secret } from "runner:step/secrets@0.1.0";
  import type { Attributes, Entry, Link } from "runner:step/types@0.1.0";
  export type ServiceAction = "start" | "stop" | "restart" | "reload" | "reload-or-restart";
  export class Target {
    private constructor();
    name(): string;
    fact(name: string): string;
    stat(path: string): Entry | null;
    readDir(path: string): Entry[];
    readLink(path: string): string;
    read(path: string): string;
    digest(path: string): string;
    diskFree(path: string): number;
    fetch(path: string): Artifact;
    serviceIsActive(unit: string): boolean;
    write(path: string, text: string, attributes: Attributes): boolean;
    writeSecret(path: string, content: Secret, attributes: Attributes): boolean;
    put(path: string, content: Artifact, attributes: Attributes): boolean;
    mkdir(path: string, attributes: Attributes): boolean;
    symlink(path: string, pointsTo: string): boolean;
    rename(oldPath: string, newPath: string): void;
    remove(path: string): boolean;
    removeTree(path: string): boolean;
    setAttributes(path: string, attributes: Attributes): boolean;
    unpack(path: string, tree: Artifact, links: Link[], reuse: string | null, attributes: Attributes): boolean;
    archive(path: string, into: string): number;
    unarchive(archive: string, path: string, attributes: Attributes): boolean;
    service(unit: string, action: ServiceAction): void;
  }
  export function current(): Target;
  export function named(name: string): Target;
}

declare module "runner:step/commands@0.1.0" {
  import type { Artifact } from "runner:step/artifacts@0.1.0";
  import type { Secret } from "runner:step/secrets@0.1.0";
  import type { Target } from "runner:step/targets@0.1.0";
  import type { Effect } from "runner:step/types@0.1.0";
  export type Output = { status: number; stdout: string; stderr: string; truncated: boolean; skipped: boolean };
  export class Command {
    constructor(argv: string[], effect: Effect);
    [Symbol.dispose](): void;
    env(name: string, value: string): void;
    envSecret(name: string, value: Secret): void;
    stdin(text: string): void;
    stdinSecret(content: Secret): void;
    stdinArtifact(content: Artifact): void;
    stdinFile(path: string): void;
    decompress(): void;
    stdoutTo(path: string): void;
    compress(): void;
    directory(path: string): void;
    timeout(milliseconds: number): void;
    accept(status: number): void;
    skipIf(check: Command): void;
    undoWith(undo: Command): void;
    keep(): void;
    repeatable(): void;
    run(on: Target): Output;
  }
}

declare module "runner:step/http@0.1.0" {
  import type { Artifact } from "runner:step/artifacts@0.1.0";
  import type { Secret } from "runner:step/secrets@0.1.0";
  import type { Target } from "runner:step/targets@0.1.0";
  import type { Effect } from "runner:step/types@0.1.0";
  export type Header = { name: string; value: string };
  export type Response = { status: number; headers: Header[]; body: string; truncated: boolean; skipped: boolean };
  export class Request {
    constructor(method: string, url: string, effect: Effect);
    [Symbol.dispose](): void;
    header(name: string, value: string): void;
    headerSecret(name: string, value: Secret): void;
    body(text: string): void;
    bodySecret(content: Secret): void;
    bodyArtifact(content: Artifact): void;
    via(target: Target): void;
    connectTo(address: string): void;
    timeout(milliseconds: number): void;
    undoWith(undo: Request): void;
    repeatable(): void;
    send(): Response;
    download(): Artifact;
  }
}

declare module "runner:step/sockets@0.1.0" {
  import type { Target } from "runner:step/targets@0.1.0";
  import type { Effect } from "runner:step/types@0.1.0";
  export function exchange(on: Target, path: string, text: string, effect: Effect): string;
}

declare module "runner:step/releases@0.1.0" {
  import type { Target } from "runner:step/targets@0.1.0";
  export type Mark = "good" | "bad" | "untried";
  export type Release = { id: string; sequence: number; mark: Mark; live: boolean; size: number };
  export function all(target: Target, root: string): Release[];
  export function previous(target: Target, root: string): Release | null;
}

declare module "runner:step/workspace@0.1.0" {
  import type { Entry } from "runner:step/types@0.1.0";
  export function stat(path: string): Entry | null;
  export function readDir(path: string): Entry[];
  export function read(path: string): string;
  export function digest(path: string): string;
  export function write(path: string, text: string): boolean;
}

// Between bytes, a letter each, and base64. QuickJS has them, as browsers do.
declare function atob(base64: string): string;
declare function btoa(bytes: string): string;

// What `world.ts` puts in the place of the `console` that QuickJS has not.
interface Console {
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}
declare var console: Console;
