//! Between the structs of a step and JSON: parameters are read, outputs written, and the schemas of both made from the
//! types, so that they cannot disagree.

const std = @import("std");
const json = std.json;

/// Tests run on another machine.
const memory = if (@import("builtin").target.cpu.arch.isWasm()) std.heap.wasm_allocator else std.heap.page_allocator;

/// Names and their values, sorted by name (bytewise).
pub const Table = struct {
    pub const Item = struct { name: []const u8, value: []const u8 };

    items: []const Item = &.{},

    pub fn get(self: Table, name: []const u8) ?[]const u8 {
        for (self.items) |item| if (std.mem.eql(u8, item.name, name)) return item.value;
        return null;
    }
};

fn sooner(_: void, a: Table.Item, b: Table.Item) bool {
    return std.mem.lessThan(u8, a.name, b.name);
}

/// As a plan writes the name of a field.
fn dashed(comptime name: []const u8) []const u8 {
    const made = comptime blk: {
        var letters: [name.len]u8 = undefined;
        for (name, &letters) |letter, *to| to.* = if (letter == '_') '-' else letter;
        break :blk letters;
    };
    return &made;
}

fn isText(comptime T: type) bool {
    return T == []const u8;
}

/// For the log, errors and outputs: what is not UTF-8 is replaced, since the host ends a step for it.
pub fn wellFormed(text: []const u8) []const u8 {
    if (std.unicode.utf8ValidateSlice(text)) return text;
    return std.fmt.allocPrint(memory, "{f}", .{std.unicode.fmtUtf8(text)}) catch @panic("out of memory");
}

// ---- reading

pub const ReadError = error{ Wrong, OutOfMemory };

/// What is wrong with the parameters or the outputs, when `read` or `write` says so.
pub var wrong: []const u8 = "";

fn refuse(name: []const u8, what: []const u8) ReadError {
    wrong = try std.fmt.allocPrint(memory, "parameters: `{s}` {s}", .{ name, what });
    return error.Wrong;
}

/// A value of this type out of JSON.
pub fn read(comptime T: type, name: []const u8, from: json.Value) ReadError!T {
    if (T == Table) {
        if (from != .object) return refuse(name, "must be a table");
        const items = try memory.alloc(Table.Item, from.object.count());
        for (from.object.keys(), from.object.values(), items) |key, value, *item| {
            item.* = .{ .name = key, .value = try read([]const u8, name, value) };
        }
        std.mem.sort(Table.Item, items, {}, sooner);
        return .{ .items = items };
    }
    if (comptime isText(T)) return if (from == .string) from.string else refuse(name, "must be text");
    if (T == json.Value) return from;
    switch (@typeInfo(T)) {
        .bool => return if (from == .bool) from.bool else refuse(name, "must be true or false"),
        .int => {
            const whole: i128 = switch (from) {
                .integer => |number| number,
                // Beyond an `i64`.
                .number_string => |digits| std.fmt.parseInt(i128, digits, 10) catch std.math.maxInt(i128),
                .float => |number| if (@trunc(number) == number and @abs(number) < 1 << 63)
                    @intFromFloat(number)
                else
                    return refuse(name, "must be a whole number"),
                else => return refuse(name, "must be a whole number"),
            };
            return std.math.cast(T, whole) orelse refuse(name, "is too large or too small");
        },
        .float => return switch (from) {
            .integer => |number| @floatFromInt(number),
            .float => |number| @floatCast(number),
            .number_string => |digits| std.fmt.parseFloat(T, digits) catch refuse(name, "must be a number"),
            else => refuse(name, "must be a number"),
        },
        .optional => |info| return if (from == .null) null else try read(info.child, name, from),
        .pointer => |info| {
            if (info.size != .slice) @compileError("a parameter cannot be a " ++ @typeName(T));
            if (from != .array) return refuse(name, "must be a list");
            const items = try memory.alloc(info.child, from.array.items.len);
            for (from.array.items, items) |one, *item| item.* = try read(info.child, name, one);
            return items;
        },
        .@"enum" => |info| {
            if (from != .string) return refuse(name, "must be text");
            inline for (info.field_names) |word| {
                if (std.mem.eql(u8, from.string, dashed(word))) return @field(T, word);
            }
            return refuse(name, "is none of the words that it may be");
        },
        .@"struct" => return fields(T, name, from),
        else => @compileError("a parameter cannot be a " ++ @typeName(T)),
    }
}

fn fields(comptime T: type, name: []const u8, from: json.Value) ReadError!T {
    if (from != .object) return refuse(name, "must be a table");
    const info = @typeInfo(T).@"struct";
    for (from.object.keys()) |key| {
        const known = inline for (info.field_names) |field| {
            if (std.mem.eql(u8, key, dashed(field))) break true;
        } else false;
        if (!known) return refuse(key, "is not known");
    }
    var made: T = undefined;
    inline for (info.field_names, info.field_types, info.field_attrs) |field, Type, attrs| {
        if (from.object.get(dashed(field))) |value| {
            @field(made, field) = try read(Type, dashed(field), value);
        } else if (attrs.defaultValue(Type)) |default| {
            @field(made, field) = default;
        } else if (@typeInfo(Type) == .optional) {
            @field(made, field) = null;
        } else {
            return refuse(dashed(field), "is missing");
        }
    }
    return made;
}

// ---- writing

pub const WriteError = json.Stringify.Error || ReadError;

/// A value as JSON; an optional field that is null is left out.
pub fn write(to: *json.Stringify, name: []const u8, value: anytype) WriteError!void {
    const T = @TypeOf(value);
    if (T == Table) {
        try to.beginObject();
        for (value.items) |item| {
            try to.objectField(wellFormed(item.name));
            try to.write(wellFormed(item.value));
        }
        return to.endObject();
    }
    if (comptime isText(T)) return to.write(wellFormed(value));
    if (T == json.Value) return writeDocument(to, name, value);
    switch (@typeInfo(T)) {
        .float => {
            if (std.math.isFinite(value)) return to.write(value);
            wrong = try std.fmt.allocPrint(memory, "outputs: `{s}` is not a finite number", .{name});
            return error.Wrong;
        },
        .@"struct" => |info| {
            try to.beginObject();
            inline for (info.field_names, info.field_types) |field, Type| {
                const own = @field(value, field);
                if (@typeInfo(Type) == .optional) {
                    if (own) |some| {
                        try to.objectField(dashed(field));
                        try write(to, dashed(field), some);
                    }
                } else {
                    try to.objectField(dashed(field));
                    try write(to, dashed(field), own);
                }
            }
            try to.endObject();
        },
        .pointer => {
            try to.beginArray();
            for (value) |one| try write(to, name, one);
            try to.endArray();
        },
        .@"enum" => |info| inline for (info.field_names) |word| {
            if (value == @field(T, word)) try to.write(dashed(word));
        },
        .optional => if (value) |some| try write(to, name, some) else try to.write(null),
        else => try to.write(value),
    }
}

fn writeDocument(to: *json.Stringify, name: []const u8, value: json.Value) WriteError!void {
    switch (value) {
        .float => |number| try write(to, name, number),
        .string => |text| try write(to, name, text),
        .array => |items| try write(to, name, items.items),
        .object => |members_of| {
            try to.beginObject();
            for (members_of.keys(), members_of.values()) |key, one| {
                try to.objectField(wellFormed(key));
                try writeDocument(to, name, one);
            }
            try to.endObject();
        },
        else => try to.write(value),
    }
}

// ---- schemas

/// The JSON Schema of a type. A struct may say more in `docs` (text for each field) and `limits` (the smallest and the
/// largest number). What has a default, or is optional, may be left out.
pub fn schema(to: *json.Stringify, comptime T: type, comptime closed: bool) WriteError!void {
    try to.beginObject();
    try members(to, T, closed);
    try to.endObject();
}

/// What a number with limits is in JSON.
fn numeric(comptime T: type) []const u8 {
    return switch (@typeInfo(T)) {
        .int => "integer",
        .float => "number",
        .optional => |info| numeric(info.child),
        else => @compileError("`limits` are of numbers, and not of a " ++ @typeName(T)),
    };
}

fn member(to: *json.Stringify, name: []const u8, value: anytype) json.Stringify.Error!void {
    try to.objectField(name);
    try to.write(value);
}

fn members(to: *json.Stringify, comptime T: type, comptime closed: bool) WriteError!void {
    if (T == Table) {
        try member(to, "type", "object");
        try to.objectField("additionalProperties");
        return schema(to, []const u8, closed);
    }
    if (comptime isText(T)) return member(to, "type", "string");
    if (T == json.Value) return;
    switch (@typeInfo(T)) {
        .bool => try member(to, "type", "boolean"),
        .int => |info| {
            try member(to, "type", "integer");
            if (info.signedness == .unsigned) try member(to, "minimum", 0);
        },
        .float => try member(to, "type", "number"),
        .optional => |info| try members(to, info.child, closed),
        .pointer => |info| {
            try member(to, "type", "array");
            try to.objectField("items");
            try schema(to, info.child, closed);
        },
        .@"enum" => |info| {
            try member(to, "type", "string");
            try to.objectField("enum");
            try to.beginArray();
            inline for (info.field_names) |word| try to.write(dashed(word));
            try to.endArray();
        },
        .@"struct" => |info| {
            try member(to, "type", "object");
            if (closed) try member(to, "additionalProperties", false);
            try to.objectField("properties");
            try to.beginObject();
            inline for (info.field_names, info.field_types, info.field_attrs) |field, Type, attrs| {
                try to.objectField(dashed(field));
                try to.beginObject();
                const limited = @hasDecl(T, "limits") and @hasField(@TypeOf(T.limits), field);
                if (limited) {
                    try member(to, "type", numeric(Type));
                    try member(to, "minimum", @field(T.limits, field)[0]);
                    try member(to, "maximum", @field(T.limits, field)[1]);
                } else {
                    try members(to, Type, closed);
                }
                if (@hasDecl(T, "docs") and @hasField(@TypeOf(T.docs), field)) {
                    try member(to, "description", @field(T.docs, field));
                }
                if (attrs.defaultValue(Type)) |default| {
                    if (@typeInfo(Type) != .optional or default != null) {
                        try to.objectField("default");
                        try write(to, dashed(field), default);
                    }
                }
                try to.endObject();
            }
            try to.endObject();
            try to.objectField("required");
            try to.beginArray();
            inline for (info.field_names, info.field_types, info.field_attrs) |field, Type, attrs| {
                if (@typeInfo(Type) != .optional and attrs.defaultValue(Type) == null) try to.write(dashed(field));
            }
            try to.endArray();
        },
        else => @compileError("a parameter cannot be a " ++ @typeName(T)),
    }
}

// ---- tests: `zig test params.zig`

const Some = struct {
    name: []const u8,
    unit: ?[]const u8,
    settings: Table = .{},
    check: []const []const u8 = &.{"x"},
    tries: u32 = 5,
    part: ?f64 = null,
    most: u64 = 1,
    file: ?[]const u8 = "/srv/x",
    dry_run: bool = true,
    kind: enum { one, two_words } = .one,

    pub const docs = .{ .name = "A \"name\"." };
    pub const limits = .{ .tries = .{ 1, 100 }, .part = .{ 0.25, 1 } };
};

fn given(document: []const u8) !Some {
    return read(Some, "parameters", try json.parseFromSliceLeaky(json.Value, memory, document, .{}));
}

fn said(value: anytype) ![]const u8 {
    var text: std.Io.Writer.Allocating = .init(memory);
    var to: json.Stringify = .{ .writer = &text.writer };
    try write(&to, "outputs", value);
    return text.written();
}

test "what is left out has its default, and what is given is read" {
    const least = try given("{\"name\":\"n\"}");
    try std.testing.expectEqual(null, least.unit);
    try std.testing.expectEqual(5, least.tries);
    try std.testing.expectEqualStrings("x", least.check[0]);

    const all = try given(
        \\{"name":"\u00e4\ud83d\ude00","unit":"","settings":{"z":"1","\u00e4":"2","Z":"3"},"check":[],
        \\"tries":4294967295,"most":18446744073709551615,"dry-run":false,"kind":"two-words"}
    );
    try std.testing.expectEqualStrings("ä😀", all.name);
    try std.testing.expectEqualStrings("", all.unit.?);
    try std.testing.expectEqualStrings("Z", all.settings.items[0].name);
    try std.testing.expectEqualStrings("2", all.settings.get("ä").?);
    try std.testing.expectEqual(.two_words, all.kind);
    try std.testing.expectEqual(std.math.maxInt(u64), all.most);
    try std.testing.expect(!all.dry_run and all.check.len == 0 and all.tries == std.math.maxInt(u32));

    const written = try said(all);
    try std.testing.expectEqualStrings(written, try said(try given(written)));
    try std.testing.expect(std.mem.indexOf(u8, try said(least), "unit") == null);
}

test "a number is what it is worth, however it is written" {
    const whole = try given("{\"name\":\"n\",\"tries\":5.0,\"part\":18446744073709551616}");
    try std.testing.expectEqual(5, whole.tries);
    try std.testing.expectEqual(18446744073709551616.0, whole.part.?);
}

test "what cannot be written is told by name" {
    for ([_]f64{ std.math.nan(f64), std.math.inf(f64), -std.math.inf(f64) }) |number| {
        try std.testing.expectError(error.Wrong, said(.{ .ratio_of = number }));
        try std.testing.expectEqualStrings("outputs: `ratio-of` is not a finite number", wrong);
        try std.testing.expectError(error.Wrong, said(.{ .all = @as([]const ?f64, &.{ null, number }) }));
        try std.testing.expectEqualStrings("outputs: `all` is not a finite number", wrong);
        try std.testing.expectError(error.Wrong, said(.{ .any = json.Value{ .float = number } }));
        try std.testing.expectEqualStrings("outputs: `any` is not a finite number", wrong);
    }
}

test "text that was cut within a letter is written as text" {
    const cut: []const u8 = "gr\xc3";
    try std.testing.expectEqualStrings("{\"said\":\"gr\u{fffd}\"}", try said(.{ .said = cut }));
    const table: Table = .{ .items = &.{.{ .name = cut, .value = cut }} };
    try std.testing.expectEqualStrings("{\"gr\u{fffd}\":\"gr\u{fffd}\"}", try said(table));
    var object: json.ObjectMap = .empty;
    try object.put(memory, cut, .{ .string = cut });
    try std.testing.expectEqualStrings("{\"gr\u{fffd}\":\"gr\u{fffd}\"}", try said(json.Value{ .object = object }));
}

test "what does not fit is refused by name" {
    const cases = [_][2][]const u8{
        .{ "[]", "parameters: `parameters` must be a table" },
        .{ "{}", "parameters: `name` is missing" },
        .{ "{\"name\":7}", "parameters: `name` must be text" },
        .{ "{\"name\":\"n\",\"naem\":1}", "parameters: `naem` is not known" },
        .{ "{\"name\":\"n\",\"check\":[1]}", "parameters: `check` must be text" },
        .{ "{\"name\":\"n\",\"tries\":-1}", "parameters: `tries` is too large or too small" },
        .{ "{\"name\":\"n\",\"tries\":1.5}", "parameters: `tries` must be a whole number" },
        .{ "{\"name\":\"n\",\"tries\":1e30}", "parameters: `tries` must be a whole number" },
        .{ "{\"name\":\"n\",\"most\":-1}", "parameters: `most` is too large or too small" },
        .{ "{\"name\":\"n\",\"most\":18446744073709551616}", "parameters: `most` is too large or too small" },
        .{ "{\"name\":\"n\",\"kind\":\"two_words\"}", "parameters: `kind` is none of the words that it may be" },
    };
    for (cases) |case| {
        try std.testing.expectError(error.Wrong, given(case[0]));
        try std.testing.expectEqualStrings(case[1], wrong);
    }
}

test "the schema has what the type says, and what docs and limits add" {
    var text: std.Io.Writer.Allocating = .init(memory);
    var to: json.Stringify = .{ .writer = &text.writer };
    try schema(&to, Some, true);
    const made = try json.parseFromSliceLeaky(json.Value, memory, text.written(), .{});
    const properties = made.object.get("properties").?.object;
    const tries = properties.get("tries").?.object;
    try std.testing.expectEqualStrings("integer", tries.get("type").?.string);
    try std.testing.expectEqual(1, tries.get("minimum").?.integer);
    try std.testing.expectEqual(5, tries.get("default").?.integer);
    const part = properties.get("part").?.object;
    try std.testing.expectEqualStrings("number", part.get("type").?.string);
    try std.testing.expectEqual(0.25, part.get("minimum").?.float);
    try std.testing.expectEqual(1, part.get("maximum").?.integer);
    try std.testing.expectEqualStrings("A \"name\".", properties.get("name").?.object.get("description").?.string);
    try std.testing.expectEqual(null, properties.get("unit").?.object.get("default"));
    try std.testing.expectEqual(null, part.get("default"));
    try std.testing.expectEqualStrings("/srv/x", properties.get("file").?.object.get("default").?.string);
    try std.testing.expectEqual(1, made.object.get("required").?.array.items.len);
}
