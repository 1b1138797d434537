//! Writes a configuration file and makes its service use it. The same step is beside this one in other languages.

const runner = @import("runner");

const Params = struct {
    file: []const u8,
    settings: runner.Table,
    check: []const []const u8 = &.{},
    unit: ?[]const u8,
    health: ?[]const u8,
    token: ?[]const u8,
    tries: u32 = 5,

    pub const docs = .{
        .file = "The file to write: absolute.",
        .settings = "What it says: a line `name = value` each, in the order of the names.",
        .check = "A command that must accept the file, program first. Without, nothing is asked.",
        .unit = "The unit to restart when the file is different.",
        .health = "The URL that must answer 200 in the end, asked from the target.",
        .token = "The secret that the URL wants as a bearer token.",
        .tries = "How often to ask.",
    };
    pub const limits = .{ .tries = .{ 1, 100 } };
};

const Outputs = struct {
    changed: bool,
    digest: []const u8,
    tries: u32,

    pub const docs = .{
        .changed = "Whether the file is different.",
        .digest = "Of the file.",
        .tries = "How often the URL was asked.",
    };
};

fn run(params: Params) runner.Error!Outputs {
    const target = runner.Target.current();
    runner.log.info("`{s}` on `{s}`: {d} settings", .{ params.file, target.name(), params.settings.items.len });

    var text: []const u8 = "";
    for (params.settings.items) |setting| {
        text = runner.text("{s}{s} = {s}\n", .{ text, setting.name, setting.value });
    }
    const changed = try target.write(params.file, text, .{ .mode = 0o644 });
    if (changed and params.check.len > 0) {
        _ = try (runner.Command{ .argv = params.check, .effect = .read }).run(target);
    }
    if (changed) if (params.unit) |unit| try target.service(unit, .restart);
    const tries = if (params.health) |url| try healthy(url, params.token, params.tries, target) else 0;
    return .{ .changed = changed, .digest = try target.digest(params.file), .tries = tries };
}

/// Asks until the answer is 200, and says how often it asked.
fn healthy(url: []const u8, token: ?[]const u8, tries: u32, target: runner.Target) runner.Error!u32 {
    var request: runner.Request = .{ .url = url, .via = target, .timeout = 2000 };
    if (token) |name| {
        const bearer = (try runner.Secret.get(name)).wrap("Bearer ", "");
        request.headers = &.{.{ .name = "authorization", .value = .{ .secret = bearer } }};
    }
    var last: []const u8 = "";
    for (1..tries + 1) |i| {
        runner.log.progress(@intCast(i), tries, "tries");
        if (request.send()) |answer| {
            if (answer.status == 200) return @intCast(i);
            last = runner.text("status {d}", .{answer.status});
        } else |err| switch (err) {
            error.Unreachable, error.Timeout => last = runner.last.message,
            else => return err,
        }
        if (i < tries) try runner.timer.sleep(100);
    }
    return runner.fail(error.Timeout, last, "`{s}` did not answer 200 (after {d} tries)", .{ url, tries });
}

comptime {
    runner.step(.{
        .name = "config",
        .version = "0.1.0",
        .summary = "writes a configuration file and makes its service use it",
        .capabilities = .{
            .ssh = &.{ "read:${file}", "write:${file}", "exec-read:${check...}", "service:${unit} restart" },
            .http = &.{"GET ${health} from target"},
            .secrets = &.{"${token}"},
        },
    }, run);
}

pub const panic = runner.panic;
