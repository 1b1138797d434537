//! Puts a message into a file.

const runner = @import("runner");

/// What a plan gives it: `with = { message = "…", file = "…" }`.
const Params = struct {
    message: []const u8,
    file: []const u8,

    pub const docs = .{
        .message = "What to say.",
        .file = "The file to say it in: absolute.",
    };
};

/// What later steps may refer to.
const Outputs = struct {
    changed: bool,

    pub const docs = .{ .changed = "Whether the file is different now." };
};

fn run(params: Params) runner.Error!Outputs {
    const target = runner.Target.current();
    const line = runner.text("{s}, says {s}\n", .{ params.message, target.name() });
    const changed = try target.write(params.file, line, .{ .mode = 0o644 });
    if (changed) runner.log.info("wrote `{s}`", .{params.file});
    return .{ .changed = changed };
}

comptime {
    runner.step(.{
        .name = "{{name}}",
        .version = "0.1.0",
        .summary = "puts a message into a file",
        // What the step may touch, in terms of its parameters. All else is denied.
        .capabilities = .{ .ssh = &.{"write:${file}"} },
    }, run);
}

pub const panic = runner.panic;
