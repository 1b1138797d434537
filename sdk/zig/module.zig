//! What a step exports: `describe` and `run`, made from its declaration.

const std = @import("std");
const abi = @import("abi.zig");
const params = @import("params.zig");
const runner = @import("runner.zig");

/// Templates of grants over the parameters: `write:${file}`.
pub const Capabilities = struct {
    ssh: []const []const u8 = &.{},
    files: []const []const u8 = &.{},
    http: []const []const u8 = &.{},
    secrets: []const []const u8 = &.{},
};

pub const Runs = enum { each_target, once };

/// What the manifest says, but for the schemas.
pub const About = struct {
    name: []const u8,
    version: []const u8,
    summary: []const u8,
    documentation: []const u8 = "",
    runs: Runs = .each_target,
    capabilities: Capabilities = .{},
};

/// Makes the module a step. `does` is a function from the struct of parameters to that of outputs, or an error.
pub fn step(comptime about: About, comptime does: anytype) void {
    const info = @typeInfo(@TypeOf(does)).@"fn";
    const Params = info.param_types[0].?;
    const Outputs = @typeInfo(info.return_type.?).error_union.payload;
    const Exports = struct {
        fn describe() callconv(.c) *const abi.Text {
            return answer(abi.Text, view(manifest(about, Params, Outputs)));
        }

        fn run(ptr: [*]const u8, len: usize) callconv(.c) *const abi.Result(abi.Text) {
            const Answer = abi.Result(abi.Text);
            const outputs = outcome(Params, does, ptr[0..len]) catch |err| {
                return answer(Answer, .{ .tag = 1, .value = .{ .err = failure(err) } });
            };
            return answer(Answer, .{ .tag = 0, .value = .{ .ok = view(outputs) } });
        }

        /// The host asks for memory for what it hands in and answers.
        fn realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) callconv(.c) ?[*]u8 {
            // Nothing is anywhere, but within the memory.
            if (size == 0) return @ptrFromInt(alignment);
            const made = runner.allocator.alignedAlloc(u8, .@"8", size) catch @panic("out of memory");
            if (old) |from| @memcpy(made[0..@min(old_size, size)], from[0..@min(old_size, size)]);
            return made.ptr;
        }
    };
    @export(&Exports.describe, .{ .name = "describe" });
    @export(&Exports.run, .{ .name = "run" });
    @export(&Exports.realloc, .{ .name = "cabi_realloc" });
}

/// What a bug says before it ends the step: in the log, since a trap says nothing. `pub const panic = runner.panic;`
pub const panic = std.debug.FullPanic(struct {
    fn say(message: []const u8, _: ?usize) noreturn {
        // There may be no memory left. Of what is replaced, a byte becomes three.
        const most = 512;
        var line: ["panic: ".len + 3 * most]u8 = undefined;
        var to: std.Io.Writer = .fixed(&line);
        to.print("panic: {f}", .{std.unicode.fmtUtf8(message[0..@min(message.len, most)])}) catch {};
        abi.log.@"error"(&line, to.buffered().len);
        @trap();
    }
}.say);

fn answer(comptime T: type, value: T) *const T {
    const made = runner.allocator.create(T) catch @panic("out of memory");
    made.* = value;
    return made;
}

fn view(text: []const u8) abi.Text {
    return .{ .ptr = text.ptr, .len = text.len };
}

fn outcome(comptime Params: type, comptime does: anytype, given: []const u8) ![]const u8 {
    const value = std.json.parseFromSliceLeaky(std.json.Value, runner.allocator, given, .{}) catch |err| {
        return runner.fail(error.Invalid, "", "parameters: not JSON: {s}", .{@errorName(err)});
    };
    const with = params.read(Params, "parameters", value) catch |err| switch (err) {
        error.Wrong => return runner.fail(error.Invalid, "", "{s}", .{params.wrong}),
        error.OutOfMemory => @panic("out of memory"),
    };
    const outputs = try does(with);
    var text: std.Io.Writer.Allocating = .init(runner.allocator);
    var to: std.json.Stringify = .{ .writer = &text.writer };
    params.write(&to, "outputs", outputs) catch |err| switch (err) {
        error.Wrong => return runner.fail(error.Other, "", "{s}", .{params.wrong}),
        error.OutOfMemory, error.WriteFailed => @panic("out of memory"),
    };
    return text.written();
}

/// The error that `run` returned: what the host or `fail` said, where it is of that kind; else its name.
fn failure(err: anyerror) abi.Failure {
    for (runner.kinds, 0..) |kind, at| {
        if (err != kind) continue;
        const said = runner.last.kind == kind and runner.last.message.len > 0;
        const message = if (said) runner.last.message else @errorName(err);
        const detail = if (said) runner.last.detail else "";
        return .{
            .kind = @intCast(at),
            .message = view(params.wellFormed(message)),
            .detail = view(params.wellFormed(detail)),
        };
    }
    return .{ .kind = runner.kinds.len - 1, .message = view(@errorName(err)), .detail = view("") };
}

fn manifest(about: About, comptime Params: type, comptime Outputs: type) []const u8 {
    var text: std.Io.Writer.Allocating = .init(runner.allocator);
    describe(about, Params, Outputs, &text.writer) catch |err| switch (err) {
        error.Wrong => @panic(params.wrong),
        error.OutOfMemory, error.WriteFailed => @panic("out of memory"),
    };
    return text.written();
}

fn describe(about: About, comptime Params: type, comptime Outputs: type, into: *std.Io.Writer) params.WriteError!void {
    var to: std.json.Stringify = .{ .writer = into };
    try to.beginObject();
    inline for (.{ "name", "version", "summary", "documentation" }) |name| {
        try to.objectField(name);
        try to.write(@field(about, name));
    }
    try to.objectField("runs");
    try params.write(&to, "runs", about.runs);
    try to.objectField("parameters");
    try params.schema(&to, Params, true);
    try to.objectField("outputs");
    try params.schema(&to, Outputs, false);
    try to.objectField("capabilities");
    try to.beginObject();
    inline for (.{ "ssh", "files", "http", "secrets" }) |list| {
        const grants = @field(about.capabilities, list);
        if (grants.len > 0) {
            try to.objectField(list);
            try params.write(&to, list, grants);
        }
    }
    try to.endObject();
    try to.endObject();
}
