//! Does what a careless author would, as `do` says, to show what comes of it.

const std = @import("std");
const runner = @import("runner");

const Params = struct {
    do: []const u8,
    big: i64 = 1,
    unit: ?[]const u8,
    file: ?[]const u8 = "/srv/x",

    pub const docs = .{
        .do = "What to do.",
        .big = "A number.",
        .unit = "What has no default.",
        .file = "A file to write.",
    };
};

const Outputs = struct {
    said: []const u8 = "",
    count: i64 = 0,
    files: []const []const u8 = &.{},
    labels: runner.Table = .{},
    previous: ?[]const u8 = null,
    ratio: ?f64 = null,

    pub const docs = .{
        .said = "Text.",
        .count = "A number.",
        .files = "A list.",
        .labels = "A table.",
        .previous = "Text that may be left out.",
        .ratio = "A number that may be left out.",
    };
};

const cut = "grün"[0..3];

fn run(params: Params) runner.Error!Outputs {
    const what = std.meta.stringToEnum(enum {
        handles,
        cut,
        @"cut-output",
        nothing,
        nan,
        infinite,
        big,
        default,
        frees,
        panic,
    }, params.do) orelse return runner.fail(error.Invalid, "", "`do` cannot be `{s}`", .{params.do});
    switch (what) {
        .handles => return .{ .said = try handles() },
        .cut => {
            runner.log.info("{s}", .{cut});
            return runner.fail(error.Timeout, cut, "{s}", .{cut});
        },
        .@"cut-output" => return .{ .said = cut },
        .nothing => return .{},
        .nan => return .{ .ratio = std.math.nan(f64) },
        .infinite => return .{ .ratio = std.math.inf(f64) },
        .big => return .{ .count = params.big },
        .default => {
            _ = try runner.Target.current().write(params.file.?, "x", .{});
            return .{};
        },
        .frees => return frees(params.file.?, @intCast(params.big)),
        .panic => @panic(cut),
    }
}

fn handles() runner.Error![]const u8 {
    for (0..1100) |_| {
        const target = runner.Target.current();
        _ = try (runner.Command{ .argv = &.{"true"}, .effect = .read }).run(target);
        _ = try (runner.Request{ .url = "http://probe.example.org/" }).send();
        (try runner.Artifact.fromBytes("x")).drop();
        (try runner.Target.named(target.name())).drop();
    }
    runner.Target.current().drop();
    return if (runner.Target.current().name().len > 0) "held" else "lost";
}

/// Reads a megabyte again and again.
fn frees(file: []const u8, times: usize) runner.Error!Outputs {
    const target = runner.Target.current();
    const most = runner.allocator.alloc(u8, 1_000_000) catch @panic("out of memory");
    @memset(most, 'x');
    _ = try target.write(file, most, .{});
    for (0..times) |_| {
        const content = try target.read(file);
        if (!std.mem.eql(u8, content, most)) return runner.fail(error.Conflict, "", "it is not what was written", .{});
        runner.free(content);
    }
    return .{};
}

comptime {
    runner.step(.{
        .name = "probe",
        .version = "0.1.0",
        .summary = "does what a careless author would",
        .capabilities = .{
            .ssh = &.{ "exec-read:true", "read:${file}", "write:${file}" },
            .http = &.{"GET http://probe.example.org/"},
        },
    }, run);
}

pub const panic = runner.panic;
