// Machines, with typed verbs. Needs the interface `targets`.
/// <reference path="./contract.d.ts" />
import { current, named, type ServiceAction, type Target as Raw } from "runner:step/targets@0.1.0";
import type { Entry } from "runner:step/types@0.1.0";
import { Artifact } from "./artifact.ts";
import { attributes, call, type Mode, type Owned, text, word } from "./host.ts";
import { Secret } from "./secret.ts";

/** What is asked of the init system, in systemd's words. */
export type { ServiceAction };

const ACTIONS: readonly ServiceAction[] = ["start", "stop", "restart", "reload", "reload-or-restart"];

// Each would take one more of the handles that a step may hold.
let own: Target | undefined;
const others = new Map<string, Target>();

/**
 * A machine. A verb that changes something answers whether the target differs now from how this step last left it:
 * `if (changed) …` never loses what comes after.
 */
export class Target {
  /** The contract's. */
  readonly raw: Raw;

  constructor(raw: Raw) {
    this.raw = raw;
  }

  /** The target that this step acts on. */
  static current(): Target {
    return (own ??= new Target(current()));
  }

  /** Another target of the inventory, or `localhost`. */
  static named(name: string): Target {
    const found = others.get(name) ?? new Target(call(() => named(text("name", name))));
    others.set(name, found);
    return found;
  }

  /** Its name in the inventory. */
  get name(): string {
    return this.raw.name();
  }

  /** `os`, `arch`, `distribution`, `user`, `hostname`, `init`, `has:<program>`. */
  fact(name: string): string {
    return call(() => this.raw.fact(text("name", name)));
  }

  /** What is at the path; `null` when there is nothing. */
  stat(path: string): Entry | null {
    return call(() => this.raw.stat(text("path", path)));
  }

  /** What is in the folder, sorted by name. */
  readDir(path: string): Entry[] {
    return call(() => this.raw.readDir(text("path", path)));
  }

  /** Where the symbolic link points to, as it is written. */
  readLink(path: string): string {
    return call(() => this.raw.readLink(text("path", path)));
  }

  /** The text of a file of up to 1 MiB. */
  read(path: string): string {
    return call(() => this.raw.read(text("path", path)));
  }

  /** Of a file's content, or of a folder's manifest. */
  digest(path: string): string {
    return call(() => this.raw.digest(text("path", path)));
  }

  /** Bytes that the user may still write to the file system of the path. */
  diskFree(path: string): number {
    return call(() => this.raw.diskFree(text("path", path)));
  }

  /** Copies a file or a folder into the artifact store. */
  fetch(path: string): Artifact {
    return new Artifact(call(() => this.raw.fetch(text("path", path))));
  }

  /** Whether the unit runs. */
  serviceIsActive(unit: string): boolean {
    return call(() => this.raw.serviceIsActive(text("unit", unit)));
  }

  /** Makes the file have this content. Without `mode`: as it is; when new, 0o644, and 0o600 for a secret. */
  write(path: string, content: string | Secret | Artifact, options?: Mode): boolean {
    const as = attributes(options);
    if (content instanceof Secret) return call(() => this.raw.writeSecret(text("path", path), content.raw, as));
    if (content instanceof Artifact) return call(() => this.raw.put(text("path", path), content.raw, as));
    return call(() => this.raw.write(text("path", path), text("content", content), as));
  }

  /** Makes the folder and its parents exist. The options are for the last one. */
  mkdir(path: string, options?: Mode): boolean {
    return call(() => this.raw.mkdir(text("path", path), attributes(options)));
  }

  /** Makes the path a symbolic link. */
  symlink(path: string, pointsTo: string): boolean {
    return call(() => this.raw.symlink(text("path", path), text("pointsTo", pointsTo)));
  }

  /** Renames, within one file system. */
  rename(oldPath: string, newPath: string): void {
    call(() => this.raw.rename(text("oldPath", oldPath), text("newPath", newPath)));
  }

  /** Makes the file, link or empty folder be gone. */
  remove(path: string): boolean {
    return call(() => this.raw.remove(text("path", path)));
  }

  /** Makes the folder and all in it be gone. */
  removeTree(path: string): boolean {
    return call(() => this.raw.removeTree(text("path", path)));
  }

  /** Makes the file or folder have these attributes. */
  setAttributes(path: string, options: Mode): boolean {
    return call(() => this.raw.setAttributes(text("path", path), attributes(options)));
  }

  /**
   * Makes the folder hold exactly the tree and the links (where each is: what it points to). What is unchanged is copied
   * from the folder `reuse`.
   */
  unpack(path: string, tree: Artifact, options: Owned & { links?: Record<string, string>; reuse?: string } = {}): boolean {
    const links = Object.entries(options.links ?? {}).map(([where, to]) => ({
      path: text("links", where),
      pointsTo: text("links", to),
    }));
    const reuse = options.reuse == null ? null : text("reuse", options.reuse);
    const as = attributes({ owner: options.owner, group: options.group });
    return call(() => this.raw.unpack(text("path", path), tree.raw, links, reuse, as));
  }

  /** Archives the folder or file into the new file `into`; its size in bytes. */
  archive(path: string, into: string): number {
    return call(() => this.raw.archive(text("path", path), text("into", into)));
  }

  /** Makes the folder or file equal to what an archive holds. */
  unarchive(archive: string, path: string, options: Owned = {}): boolean {
    const as = attributes({ owner: options.owner, group: options.group });
    return call(() => this.raw.unarchive(text("archive", archive), text("path", path), as));
  }

  /** Asks the init system, and waits until the unit has reached the state. */
  service(unit: string, action: ServiceAction): void {
    call(() => this.raw.service(text("unit", unit), word("action", action, ACTIONS)));
  }
}
