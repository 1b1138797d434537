//! Write a step of the deploy runner in Zig. README.md says how; `wit/` of the runner says what each call does.
//!
//! Nothing needs to be freed: the instance lives for one call. `allocator` is there for what a step makes itself, and `free`
//! for texts that calls answer, where they are many.

const std = @import("std");
const abi = @import("abi.zig");
const module = @import("module.zig");
const params = @import("params.zig");

pub const step = module.step;
pub const panic = module.panic;
pub const Capabilities = module.Capabilities;
pub const Table = params.Table;

/// Memory of the instance.
pub const allocator: std.mem.Allocator = std.heap.wasm_allocator;

/// Text from a format. Without memory the step ends.
pub fn text(comptime format: []const u8, values: anytype) []const u8 {
    return std.fmt.allocPrint(allocator, format, values) catch @panic("out of memory");
}

/// Gives back the memory of a text that a call answered, of a body or of an artifact's bytes; of no other.
pub fn free(answer: []const u8) void {
    // As `cabi_realloc` made it.
    if (answer.len > 0) allocator.free(@as([]align(8) const u8, @alignCast(answer)));
}

// ---- errors

/// What went wrong, for a program; `last` has the rest. Hand it on with `try`.
pub const Error = error{ Denied, Unreachable, Timeout, NotFound, Conflict, CommandFailed, Invalid, Cancelled, Other };

/// The error that was met last: of the host, or of `fail`.
pub const Failure = struct { kind: Error, message: []const u8, detail: []const u8 };

pub var last: Failure = .{ .kind = error.Other, .message = "", .detail = "" };

/// In the order of the contract.
pub const kinds = [_]Error{
    error.Denied,  error.Unreachable, error.Timeout, error.NotFound, error.Conflict, error.CommandFailed,
    error.Invalid, error.Cancelled,   error.Other,
};

/// An error of the step's own: `return fail(error.Conflict, "", "`{s}` is not empty", .{path});`
pub fn fail(kind: Error, detail: []const u8, comptime format: []const u8, values: anytype) Error {
    last = .{ .kind = kind, .message = text(format, values), .detail = detail };
    return kind;
}

fn slice(from: anytype) []const @typeInfo(@TypeOf(from.ptr)).pointer.child {
    return if (from.len == 0) &.{} else from.ptr[0..from.len];
}

/// What a call left in memory, or its error.
fn checked(answer: anytype) Error!@TypeOf(answer.value.ok) {
    if (answer.tag == 0) return answer.value.ok;
    const err = answer.value.err;
    last = .{
        .kind = if (err.kind < kinds.len) kinds[err.kind] else error.Other,
        .message = slice(err.message),
        .detail = slice(err.detail),
    };
    return last.kind;
}

/// Calls a function whose last argument is where the answer goes.
fn call(comptime Answer: type, function: anytype, arguments: anytype) Answer {
    var answer: Answer = undefined;
    @call(.auto, function, arguments ++ .{&answer});
    return answer;
}

fn ask(comptime Answer: type, function: anytype, arguments: anytype) Error!@FieldType(@FieldType(abi.Result(Answer), "value"), "ok") {
    return checked(call(abi.Result(Answer), function, arguments));
}

fn askText(function: anytype, arguments: anytype) Error![]const u8 {
    return slice(try ask(abi.Text, function, arguments));
}

fn tell(function: anytype, arguments: anytype) Error!void {
    _ = try ask(void, function, arguments);
}

fn views(from: []const []const u8) []const abi.Text {
    const made = allocator.alloc(abi.Text, from.len) catch @panic("out of memory");
    for (from, made) |one, *to| to.* = view(one);
    return made;
}

// ---- log, time, and what this run is

pub const log = struct {
    pub fn debug(comptime format: []const u8, values: anytype) void {
        say(abi.log.debug, format, values);
    }
    pub fn info(comptime format: []const u8, values: anytype) void {
        say(abi.log.info, format, values);
    }
    pub fn warn(comptime format: []const u8, values: anytype) void {
        say(abi.log.warn, format, values);
    }
    /// Only where it is not also the error that `run` returns.
    pub fn err(comptime format: []const u8, values: anytype) void {
        say(abi.log.@"error", format, values);
    }
    /// `what` is the unit in the plural: "rows"; `total` 0: not known.
    pub fn progress(done: u32, total: u32, what: []const u8) void {
        const unit = params.wellFormed(what);
        abi.log.progress(done, total, unit.ptr, unit.len);
    }

    fn say(function: anytype, comptime format: []const u8, values: anytype) void {
        const line = params.wellFormed(text(format, values));
        function(line.ptr, line.len);
    }
};

pub const timer = struct {
    /// Milliseconds since 1970-01-01 UTC.
    pub fn now() u64 {
        return abi.timer.now();
    }
    pub fn sleep(milliseconds: u32) Error!void {
        return tell(abi.timer.sleep, .{milliseconds});
    }
};

pub const run_info = struct {
    pub fn runId() []const u8 {
        return slice(call(abi.Text, abi.run_info.@"run-id", .{}));
    }
    pub fn stepId() []const u8 {
        return slice(call(abi.Text, abi.run_info.@"step-id", .{}));
    }
    pub fn environment() []const u8 {
        return slice(call(abi.Text, abi.run_info.environment, .{}));
    }
    pub fn operationKey() []const u8 {
        return slice(call(abi.Text, abi.run_info.@"operation-key", .{}));
    }
    pub fn releaseId() ?[]const u8 {
        return optional(call(abi.Option(abi.Text), abi.run_info.@"release-id", .{}));
    }
    pub fn previousRelease() ?[]const u8 {
        return optional(call(abi.Option(abi.Text), abi.run_info.@"previous-release", .{}));
    }
    pub fn subject() ?[]const u8 {
        return optional(call(abi.Option(abi.Text), abi.run_info.subject, .{}));
    }
    pub fn variable(name: []const u8) ?[]const u8 {
        return optional(call(abi.Option(abi.Text), abi.run_info.variable, .{ name.ptr, name.len }));
    }
};

fn optional(from: abi.Option(abi.Text)) ?[]const u8 {
    return if (from.tag == 0) null else slice(from.value);
}

// ---- artifacts and secrets

/// Data that stay in the host.
pub const Artifact = struct {
    handle: abi.Handle,

    pub fn pack(path: []const u8, exclude: []const []const u8) Error!Artifact {
        const patterns = views(exclude);
        return .{ .handle = try ask(abi.Handle, abi.artifacts.pack, .{ path.ptr, path.len, patterns.ptr, patterns.len }) };
    }
    pub fn open(of: []const u8) Error!Artifact {
        return .{ .handle = try ask(abi.Handle, abi.artifacts.open, .{ of.ptr, of.len }) };
    }
    pub fn fromBytes(content: []const u8) Error!Artifact {
        return .{ .handle = try ask(abi.Handle, abi.artifacts.@"from-bytes", .{ content.ptr, content.len }) };
    }
    pub fn digest(self: Artifact) []const u8 {
        return slice(call(abi.Text, abi.artifacts.@"[method]artifact.digest", .{self.handle}));
    }
    pub fn size(self: Artifact) u64 {
        return abi.artifacts.@"[method]artifact.size"(self.handle);
    }
    pub fn bytes(self: Artifact) Error![]const u8 {
        return askText(abi.artifacts.@"[method]artifact.bytes", .{self.handle});
    }
    pub fn save(self: Artifact, path: []const u8) Error!bool {
        return ask(bool, abi.artifacts.@"[method]artifact.save", .{ self.handle, path.ptr, path.len });
    }
    /// Of artifacts, secrets and targets together a step may hold 1024; `drop` gives one back.
    pub fn drop(self: Artifact) void {
        abi.artifacts.@"[resource-drop]artifact"(self.handle);
    }
};

/// A value that the step may use and never sees.
pub const Secret = struct {
    handle: abi.Handle,

    pub fn get(name: []const u8) Error!Secret {
        return .{ .handle = try ask(abi.Handle, abi.secrets.get, .{ name.ptr, name.len }) };
    }
    pub fn wrap(self: Secret, before: []const u8, after: []const u8) Secret {
        const function = abi.secrets.@"[method]secret.wrap";
        return .{ .handle = function(self.handle, before.ptr, before.len, after.ptr, after.len) };
    }
    pub fn append(self: Secret, other: Secret) Secret {
        return .{ .handle = abi.secrets.@"[method]secret.append"(self.handle, other.handle) };
    }
    pub fn base64(self: Secret) Secret {
        return .{ .handle = abi.secrets.@"[method]secret.base64"(self.handle) };
    }
    pub fn urlEncode(self: Secret) Secret {
        return .{ .handle = abi.secrets.@"[method]secret.url-encode"(self.handle) };
    }
    pub fn drop(self: Secret) void {
        abi.secrets.@"[resource-drop]secret"(self.handle);
    }
};

// ---- targets

pub const Effect = enum(i32) { read, change, signal, leave, join, @"opaque" };
pub const ServiceAction = enum(i32) { start, stop, restart, reload, reload_or_restart };

pub const Entry = struct {
    pub const Kind = enum(u8) { file, directory, symlink, other };

    name: []const u8,
    kind: Kind,
    size: u64,
    mode: u32,
    owner: []const u8,
    group: []const u8,
    modified: u64,

    fn of(from: abi.Entry) Entry {
        return .{
            .name = slice(from.name),
            .kind = @fromBackingInt(@intCast(from.kind)),
            .size = from.size,
            .mode = from.mode,
            .owner = slice(from.owner),
            .group = slice(from.group),
            .modified = from.modified,
        };
    }
    fn maybe(from: abi.Option(abi.Entry)) ?Entry {
        return if (from.tag == 0) null else of(from.value);
    }
    fn all(from: abi.List(abi.Entry)) []const Entry {
        const made = allocator.alloc(Entry, from.len) catch @panic("out of memory");
        for (slice(from), made) |one, *entry| entry.* = of(one);
        return made;
    }
};

/// `null`: as it is, or what the verb says for something new.
pub const Attributes = struct {
    mode: ?u32 = null,
    owner: ?[]const u8 = null,
    group: ?[]const u8 = null,

    fn words(self: Attributes) struct { i32, u32, i32, [*]const u8, usize, i32, [*]const u8, usize } {
        const owner = self.owner orelse "";
        const group = self.group orelse "";
        return .{
            @intFromBool(self.mode != null),  self.mode orelse 0,
            @intFromBool(self.owner != null), owner.ptr,
            owner.len,                        @intFromBool(self.group != null),
            group.ptr,                        group.len,
        };
    }
};

/// The same for all that is in a tree or an archive, which has modes of its own.
pub const Owned = struct { owner: ?[]const u8 = null, group: ?[]const u8 = null };

pub const Link = struct { path: []const u8, points_to: []const u8 };

pub const Release = struct {
    pub const Mark = enum(u8) { good, bad, untried };

    id: []const u8,
    sequence: u64,
    mark: Mark,
    live: bool,
    size: u64,

    fn of(from: abi.Release) Release {
        return .{
            .id = slice(from.id),
            .sequence = from.sequence,
            .mark = @fromBackingInt(@intCast(from.mark)),
            .live = from.live,
            .size = from.size,
        };
    }
};

/// A machine.
pub const Target = struct {
    handle: abi.Handle,

    /// None is 0. Every call of the host makes a handle, of which there are not many.
    var kept: abi.Handle = 0;

    /// Always the same: there is nothing to give back.
    pub fn current() Target {
        if (kept == 0) kept = abi.targets.current();
        return .{ .handle = kept };
    }
    pub fn named(of: []const u8) Error!Target {
        return .{ .handle = try ask(abi.Handle, abi.targets.named, .{ of.ptr, of.len }) };
    }
    pub fn drop(self: Target) void {
        if (self.handle != kept) abi.targets.@"[resource-drop]target"(self.handle);
    }
    pub fn name(self: Target) []const u8 {
        return slice(call(abi.Text, abi.targets.@"[method]target.name", .{self.handle}));
    }
    pub fn fact(self: Target, of: []const u8) Error![]const u8 {
        return askText(abi.targets.@"[method]target.fact", .{ self.handle, of.ptr, of.len });
    }
    pub fn stat(self: Target, path: []const u8) Error!?Entry {
        return .maybe(try ask(abi.Option(abi.Entry), abi.targets.@"[method]target.stat", .{ self.handle, path.ptr, path.len }));
    }
    pub fn readDir(self: Target, path: []const u8) Error![]const Entry {
        return Entry.all(try ask(abi.List(abi.Entry), abi.targets.@"[method]target.read-dir", .{ self.handle, path.ptr, path.len }));
    }
    pub fn readLink(self: Target, path: []const u8) Error![]const u8 {
        return askText(abi.targets.@"[method]target.read-link", .{ self.handle, path.ptr, path.len });
    }
    pub fn read(self: Target, path: []const u8) Error![]const u8 {
        return askText(abi.targets.@"[method]target.read", .{ self.handle, path.ptr, path.len });
    }
    pub fn digest(self: Target, path: []const u8) Error![]const u8 {
        return askText(abi.targets.@"[method]target.digest", .{ self.handle, path.ptr, path.len });
    }
    pub fn diskFree(self: Target, path: []const u8) Error!u64 {
        return ask(u64, abi.targets.@"[method]target.disk-free", .{ self.handle, path.ptr, path.len });
    }
    pub fn fetch(self: Target, path: []const u8) Error!Artifact {
        return .{ .handle = try ask(abi.Handle, abi.targets.@"[method]target.fetch", .{ self.handle, path.ptr, path.len }) };
    }
    pub fn serviceIsActive(self: Target, unit: []const u8) Error!bool {
        return ask(bool, abi.targets.@"[method]target.service-is-active", .{ self.handle, unit.ptr, unit.len });
    }
    pub fn write(self: Target, path: []const u8, content: []const u8, how: Attributes) Error!bool {
        const function = abi.targets.@"[method]target.write";
        return ask(bool, function, .{ self.handle, path.ptr, path.len, content.ptr, content.len } ++ how.words());
    }
    pub fn writeSecret(self: Target, path: []const u8, content: Secret, how: Attributes) Error!bool {
        const function = abi.targets.@"[method]target.write-secret";
        return ask(bool, function, .{ self.handle, path.ptr, path.len, content.handle } ++ how.words());
    }
    pub fn put(self: Target, path: []const u8, content: Artifact, how: Attributes) Error!bool {
        const function = abi.targets.@"[method]target.put";
        return ask(bool, function, .{ self.handle, path.ptr, path.len, content.handle } ++ how.words());
    }
    pub fn mkdir(self: Target, path: []const u8, how: Attributes) Error!bool {
        return ask(bool, abi.targets.@"[method]target.mkdir", .{ self.handle, path.ptr, path.len } ++ how.words());
    }
    pub fn symlink(self: Target, path: []const u8, points_to: []const u8) Error!bool {
        const function = abi.targets.@"[method]target.symlink";
        return ask(bool, function, .{ self.handle, path.ptr, path.len, points_to.ptr, points_to.len });
    }
    pub fn rename(self: Target, old_path: []const u8, new_path: []const u8) Error!void {
        const function = abi.targets.@"[method]target.rename";
        return tell(function, .{ self.handle, old_path.ptr, old_path.len, new_path.ptr, new_path.len });
    }
    pub fn remove(self: Target, path: []const u8) Error!bool {
        return ask(bool, abi.targets.@"[method]target.remove", .{ self.handle, path.ptr, path.len });
    }
    pub fn removeTree(self: Target, path: []const u8) Error!bool {
        return ask(bool, abi.targets.@"[method]target.remove-tree", .{ self.handle, path.ptr, path.len });
    }
    pub fn setAttributes(self: Target, path: []const u8, how: Attributes) Error!bool {
        const function = abi.targets.@"[method]target.set-attributes";
        return ask(bool, function, .{ self.handle, path.ptr, path.len } ++ how.words());
    }
    pub fn unpack(
        self: Target,
        path: []const u8,
        tree: Artifact,
        links: []const Link,
        reuse: ?[]const u8,
        how: Owned,
    ) Error!bool {
        const made = allocator.alloc(abi.Link, links.len) catch @panic("out of memory");
        for (links, made) |one, *link| link.* = .{ .path = view(one.path), .points_to = view(one.points_to) };
        const arguments: abi.Unpack = .{
            .self = self.handle,
            .path = view(path),
            .tree = tree.handle,
            .links = .{ .ptr = made.ptr, .len = made.len },
            .reuse = maybe(reuse),
            .mode = .{ .tag = 0, .value = 0 },
            .owner = maybe(how.owner),
            .group = maybe(how.group),
        };
        return ask(bool, abi.targets.@"[method]target.unpack", .{&arguments});
    }
    pub fn archive(self: Target, path: []const u8, into: []const u8) Error!u64 {
        return ask(u64, abi.targets.@"[method]target.archive", .{ self.handle, path.ptr, path.len, into.ptr, into.len });
    }
    pub fn unarchive(self: Target, from: []const u8, path: []const u8, how: Owned) Error!bool {
        const function = abi.targets.@"[method]target.unarchive";
        const attributes: Attributes = .{ .owner = how.owner, .group = how.group };
        return ask(bool, function, .{ self.handle, from.ptr, from.len, path.ptr, path.len } ++ attributes.words());
    }
    pub fn service(self: Target, unit: []const u8, action: ServiceAction) Error!void {
        return tell(abi.targets.@"[method]target.service", .{ self.handle, unit.ptr, unit.len, @backingInt(action) });
    }
    pub fn exchange(self: Target, socket: []const u8, content: []const u8, effect: Effect) Error![]const u8 {
        const words = .{ self.handle, socket.ptr, socket.len, content.ptr, content.len, @backingInt(effect) };
        return askText(abi.sockets.exchange, words);
    }
    pub fn releases(self: Target, root: []const u8) Error![]const Release {
        const found = try ask(abi.List(abi.Release), abi.releases.all, .{ self.handle, root.ptr, root.len });
        const made = allocator.alloc(Release, found.len) catch @panic("out of memory");
        for (slice(found), made) |one, *release| release.* = .of(one);
        return made;
    }
    pub fn previousRelease(self: Target, root: []const u8) Error!?Release {
        const found = try ask(abi.Option(abi.Release), abi.releases.previous, .{ self.handle, root.ptr, root.len });
        return if (found.tag == 0) null else .of(found.value);
    }
};

fn view(from: []const u8) abi.Text {
    return .{ .ptr = from.ptr, .len = from.len };
}

fn maybe(from: ?[]const u8) abi.Option(abi.Text) {
    return .{ .tag = @intFromBool(from != null), .value = view(from orelse "") };
}

// ---- commands and requests

/// Text, or a secret in its place.
pub const Value = union(enum) { text: []const u8, secret: Secret };
pub const Named = struct { name: []const u8, value: Value };

/// A command: what is left out is not said. Nothing happens before `run`.
pub const Command = struct {
    pub const Input = union(enum) { text: []const u8, secret: Secret, artifact: Artifact, file: []const u8 };
    pub const Output = struct { status: u32, stdout: []const u8, stderr: []const u8, truncated: bool, skipped: bool };

    argv: []const []const u8,
    effect: Effect,
    env: []const Named = &.{},
    stdin: ?Input = null,
    decompress: bool = false,
    stdout_to: ?[]const u8 = null,
    compress: bool = false,
    directory: ?[]const u8 = null,
    /// Milliseconds; without, a minute.
    timeout: ?u32 = null,
    /// Statuses beside 0.
    accept: []const u32 = &.{},
    skip_if: ?*const Command = null,
    undo_with: ?*const Command = null,
    keep: bool = false,
    repeatable: bool = false,

    pub fn run(self: Command, on: Target) Error!Output {
        const handle = self.made();
        defer abi.commands.@"[resource-drop]command"(handle);
        const answer = try ask(abi.Output, abi.commands.@"[method]command.run", .{ handle, on.handle });
        return .{
            .status = answer.status,
            .stdout = slice(answer.stdout),
            .stderr = slice(answer.stderr),
            .truncated = answer.truncated,
            .skipped = answer.skipped,
        };
    }

    fn made(self: Command) abi.Handle {
        const to = abi.commands;
        const argv = views(self.argv);
        const handle = to.@"[constructor]command"(argv.ptr, argv.len, @backingInt(self.effect));
        for (self.env) |one| switch (one.value) {
            .text => |value| to.@"[method]command.env"(handle, one.name.ptr, one.name.len, value.ptr, value.len),
            .secret => |value| to.@"[method]command.env-secret"(handle, one.name.ptr, one.name.len, value.handle),
        };
        if (self.stdin) |stdin| switch (stdin) {
            .text => |from| to.@"[method]command.stdin"(handle, from.ptr, from.len),
            .secret => |from| to.@"[method]command.stdin-secret"(handle, from.handle),
            .artifact => |from| to.@"[method]command.stdin-artifact"(handle, from.handle),
            .file => |from| to.@"[method]command.stdin-file"(handle, from.ptr, from.len),
        };
        if (self.decompress) to.@"[method]command.decompress"(handle);
        if (self.stdout_to) |path| to.@"[method]command.stdout-to"(handle, path.ptr, path.len);
        if (self.compress) to.@"[method]command.compress"(handle);
        if (self.directory) |path| to.@"[method]command.directory"(handle, path.ptr, path.len);
        if (self.timeout) |time| to.@"[method]command.timeout"(handle, time);
        for (self.accept) |status| to.@"[method]command.accept"(handle, status);
        if (self.skip_if) |check| to.@"[method]command.skip-if"(handle, check.made());
        if (self.undo_with) |undo| to.@"[method]command.undo-with"(handle, undo.made());
        if (self.keep) to.@"[method]command.keep"(handle);
        if (self.repeatable) to.@"[method]command.repeatable"(handle);
        return handle;
    }
};

/// What a request does that does not say it.
fn usual(method: []const u8) Effect {
    const reads = std.mem.eql(u8, method, "GET") or std.mem.eql(u8, method, "HEAD");
    return if (reads) .read else .@"opaque";
}

/// A request: what is left out is not said. Nothing happens before `send` or `download`.
pub const Request = struct {
    pub const Body = union(enum) { text: []const u8, secret: Secret, artifact: Artifact };
    pub const Header = struct { name: []const u8, value: []const u8 };
    pub const Response = struct {
        status: u16,
        headers: []const Header,
        body: []const u8,
        truncated: bool,
        skipped: bool,

        /// The value of the first header of this name, in any case.
        pub fn header(self: Response, name: []const u8) ?[]const u8 {
            for (self.headers) |one| if (std.ascii.eqlIgnoreCase(one.name, name)) return one.value;
            return null;
        }
    };

    method: []const u8 = "GET",
    url: []const u8,
    /// Without, `read` for `GET` and `HEAD`, and `opaque` for all else.
    effect: ?Effect = null,
    headers: []const Named = &.{},
    body: ?Body = null,
    via: ?Target = null,
    connect_to: ?[]const u8 = null,
    /// Milliseconds; without, 30 seconds.
    timeout: ?u32 = null,
    undo_with: ?*const Request = null,
    repeatable: bool = false,

    pub fn send(self: Request) Error!Response {
        const handle = self.made();
        defer abi.http.@"[resource-drop]request"(handle);
        const answer = try ask(abi.Response, abi.http.@"[method]request.send", .{handle});
        const headers = allocator.alloc(Header, answer.headers.len) catch @panic("out of memory");
        for (slice(answer.headers), headers) |one, *header| {
            header.* = .{ .name = slice(one.name), .value = slice(one.value) };
        }
        return .{
            .status = answer.status,
            .headers = headers,
            .body = slice(answer.body),
            .truncated = answer.truncated,
            .skipped = answer.skipped,
        };
    }

    pub fn download(self: Request) Error!Artifact {
        const handle = self.made();
        defer abi.http.@"[resource-drop]request"(handle);
        return .{ .handle = try ask(abi.Handle, abi.http.@"[method]request.download", .{handle}) };
    }

    fn made(self: Request) abi.Handle {
        const to = abi.http;
        const effect = @backingInt(self.effect orelse usual(self.method));
        const handle = to.@"[constructor]request"(self.method.ptr, self.method.len, self.url.ptr, self.url.len, effect);
        for (self.headers) |one| switch (one.value) {
            .text => |value| to.@"[method]request.header"(handle, one.name.ptr, one.name.len, value.ptr, value.len),
            .secret => |value| to.@"[method]request.header-secret"(handle, one.name.ptr, one.name.len, value.handle),
        };
        if (self.body) |body| switch (body) {
            .text => |from| to.@"[method]request.body"(handle, from.ptr, from.len),
            .secret => |from| to.@"[method]request.body-secret"(handle, from.handle),
            .artifact => |from| to.@"[method]request.body-artifact"(handle, from.handle),
        };
        if (self.via) |target| to.@"[method]request.via"(handle, target.handle);
        if (self.connect_to) |address| to.@"[method]request.connect-to"(handle, address.ptr, address.len);
        if (self.timeout) |time| to.@"[method]request.timeout"(handle, time);
        if (self.undo_with) |undo| to.@"[method]request.undo-with"(handle, undo.made());
        if (self.repeatable) to.@"[method]request.repeatable"(handle);
        return handle;
    }
};

// ---- the workspace

pub const workspace = struct {
    pub fn stat(path: []const u8) Error!?Entry {
        return .maybe(try ask(abi.Option(abi.Entry), abi.workspace.stat, .{ path.ptr, path.len }));
    }
    pub fn readDir(path: []const u8) Error![]const Entry {
        return Entry.all(try ask(abi.List(abi.Entry), abi.workspace.@"read-dir", .{ path.ptr, path.len }));
    }
    pub fn read(path: []const u8) Error![]const u8 {
        return askText(abi.workspace.read, .{ path.ptr, path.len });
    }
    pub fn digest(path: []const u8) Error![]const u8 {
        return askText(abi.workspace.digest, .{ path.ptr, path.len });
    }
    pub fn write(path: []const u8, content: []const u8) Error!bool {
        return ask(bool, abi.workspace.write, .{ path.ptr, path.len, content.ptr, content.len });
    }
};

// ---- tests: `zig test runner.zig`

test "a request that does not say its effect is opaque, unless it is one that reads" {
    try std.testing.expectEqual(.read, usual("GET"));
    try std.testing.expectEqual(.read, usual("HEAD"));
    try std.testing.expectEqual(.@"opaque", usual("POST"));
    try std.testing.expectEqual(.@"opaque", usual("get"));
}

test "a header is found in any case, and of several the first one" {
    const answer: Request.Response = .{
        .status = 200,
        .headers = &.{
            .{ .name = "etag", .value = "a" },
            .{ .name = "x-served-by", .value = "b" },
            .{ .name = "x-served-by", .value = "c" },
        },
        .body = "",
        .truncated = false,
        .skipped = false,
    };
    try std.testing.expectEqualStrings("a", answer.header("ETag").?);
    try std.testing.expectEqualStrings("b", answer.header("x-served-by").?);
    try std.testing.expectEqual(null, answer.header("etags"));
}
