//! The functions of `runner:step@0.1.0` as a core module imports them, and the layouts of what they answer: the canonical
//! ABI of the component model, by hand. Only what a step calls is imported.
//!
//! A text or a list is a pointer and a length; an option is a flag and the value; a handle and an enum are an `i32`. What
//! is more than one word comes back through a pointer, which is the last argument.

/// A list of bytes, or of anything else, in memory.
pub fn List(T: type) type {
    return extern struct { ptr: [*]const T, len: usize };
}

pub const Text = List(u8);

pub const Failure = extern struct { kind: u8, message: Text, detail: Text };

/// What a call that can fail leaves in memory. `T` is `void` where there is nothing to answer.
pub fn Result(T: type) type {
    return extern struct {
        tag: u8,
        value: extern union { ok: if (T == void) u8 else T, err: Failure },
    };
}

pub fn Option(T: type) type {
    return extern struct { tag: u8, value: T };
}

pub const Entry = extern struct {
    name: Text,
    kind: u8,
    size: u64,
    mode: u32,
    owner: Text,
    group: Text,
    modified: u64,
};

pub const Link = extern struct { path: Text, points_to: Text };
pub const Header = extern struct { name: Text, value: Text };
pub const Release = extern struct { id: Text, sequence: u64, mark: u8, live: bool, size: u64 };
pub const Output = extern struct { status: u32, stdout: Text, stderr: Text, truncated: bool, skipped: bool };
pub const Response = extern struct { status: u16, headers: List(Header), body: Text, truncated: bool, skipped: bool };

pub const Handle = i32;
const Bytes = [*]const u8;

pub const log = struct {
    pub extern "runner:step/log@0.1.0" fn debug(message: Bytes, len: usize) void;
    pub extern "runner:step/log@0.1.0" fn info(message: Bytes, len: usize) void;
    pub extern "runner:step/log@0.1.0" fn warn(message: Bytes, len: usize) void;
    pub extern "runner:step/log@0.1.0" fn @"error"(message: Bytes, len: usize) void;
    pub extern "runner:step/log@0.1.0" fn progress(done: u32, total: u32, what: Bytes, len: usize) void;
};

pub const timer = struct {
    pub extern "runner:step/timer@0.1.0" fn now() u64;
    pub extern "runner:step/timer@0.1.0" fn sleep(milliseconds: u32, answer: *Result(void)) void;
};

pub const run_info = struct {
    pub extern "runner:step/run-info@0.1.0" fn @"run-id"(answer: *Text) void;
    pub extern "runner:step/run-info@0.1.0" fn @"step-id"(answer: *Text) void;
    pub extern "runner:step/run-info@0.1.0" fn environment(answer: *Text) void;
    pub extern "runner:step/run-info@0.1.0" fn @"operation-key"(answer: *Text) void;
    pub extern "runner:step/run-info@0.1.0" fn @"release-id"(answer: *Option(Text)) void;
    pub extern "runner:step/run-info@0.1.0" fn @"previous-release"(answer: *Option(Text)) void;
    pub extern "runner:step/run-info@0.1.0" fn subject(answer: *Option(Text)) void;
    pub extern "runner:step/run-info@0.1.0" fn variable(name: Bytes, len: usize, answer: *Option(Text)) void;
};

/// The arguments of `unpack`: more than sixteen words, which go through memory.
pub const Unpack = extern struct {
    self: Handle,
    path: Text,
    tree: Handle,
    links: List(Link),
    reuse: Option(Text),
    mode: Option(u32),
    owner: Option(Text),
    group: Option(Text),
};

pub const artifacts = struct {
    pub extern "runner:step/artifacts@0.1.0" fn pack(path: Bytes, path_len: usize, exclude: [*]const Text, exclude_len: usize, answer: *Result(Handle)) void;
    pub extern "runner:step/artifacts@0.1.0" fn open(digest: Bytes, digest_len: usize, answer: *Result(Handle)) void;
    pub extern "runner:step/artifacts@0.1.0" fn @"from-bytes"(content: Bytes, content_len: usize, answer: *Result(Handle)) void;
    pub extern "runner:step/artifacts@0.1.0" fn @"[resource-drop]artifact"(self: Handle) void;
    pub extern "runner:step/artifacts@0.1.0" fn @"[method]artifact.digest"(self: Handle, answer: *Text) void;
    pub extern "runner:step/artifacts@0.1.0" fn @"[method]artifact.size"(self: Handle) u64;
    pub extern "runner:step/artifacts@0.1.0" fn @"[method]artifact.bytes"(self: Handle, answer: *Result(Text)) void;
    pub extern "runner:step/artifacts@0.1.0" fn @"[method]artifact.save"(self: Handle, path: Bytes, path_len: usize, answer: *Result(bool)) void;
};

pub const secrets = struct {
    pub extern "runner:step/secrets@0.1.0" fn get(name: Bytes, name_len: usize, answer: *Result(Handle)) void;
    pub extern "runner:step/secrets@0.1.0" fn @"[resource-drop]secret"(self: Handle) void;
    pub extern "runner:step/secrets@0.1.0" fn @"[method]secret.wrap"(self: Handle, before: Bytes, before_len: usize, after: Bytes, after_len: usize) Handle;
    pub extern "runner:step/secrets@0.1.0" fn @"[method]secret.append"(self: Handle, other: Handle) Handle;
    pub extern "runner:step/secrets@0.1.0" fn @"[method]secret.base64"(self: Handle) Handle;
    pub extern "runner:step/secrets@0.1.0" fn @"[method]secret.url-encode"(self: Handle) Handle;
};

pub const targets = struct {
    pub extern "runner:step/targets@0.1.0" fn current() Handle;
    pub extern "runner:step/targets@0.1.0" fn named(name: Bytes, name_len: usize, answer: *Result(Handle)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[resource-drop]target"(self: Handle) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.name"(self: Handle, answer: *Text) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.fact"(self: Handle, name: Bytes, name_len: usize, answer: *Result(Text)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.stat"(self: Handle, path: Bytes, path_len: usize, answer: *Result(Option(Entry))) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.read-dir"(self: Handle, path: Bytes, path_len: usize, answer: *Result(List(Entry))) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.read-link"(self: Handle, path: Bytes, path_len: usize, answer: *Result(Text)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.read"(self: Handle, path: Bytes, path_len: usize, answer: *Result(Text)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.digest"(self: Handle, path: Bytes, path_len: usize, answer: *Result(Text)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.disk-free"(self: Handle, path: Bytes, path_len: usize, answer: *Result(u64)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.fetch"(self: Handle, path: Bytes, path_len: usize, answer: *Result(Handle)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.service-is-active"(self: Handle, unit: Bytes, unit_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.write"(self: Handle, path: Bytes, path_len: usize, text: Bytes, text_len: usize, mode: i32, bits: u32, owner: i32, owner_ptr: Bytes, owner_len: usize, group: i32, group_ptr: Bytes, group_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.write-secret"(self: Handle, path: Bytes, path_len: usize, content: Handle, mode: i32, bits: u32, owner: i32, owner_ptr: Bytes, owner_len: usize, group: i32, group_ptr: Bytes, group_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.put"(self: Handle, path: Bytes, path_len: usize, content: Handle, mode: i32, bits: u32, owner: i32, owner_ptr: Bytes, owner_len: usize, group: i32, group_ptr: Bytes, group_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.mkdir"(self: Handle, path: Bytes, path_len: usize, mode: i32, bits: u32, owner: i32, owner_ptr: Bytes, owner_len: usize, group: i32, group_ptr: Bytes, group_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.symlink"(self: Handle, path: Bytes, path_len: usize, points_to: Bytes, points_to_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.rename"(self: Handle, old_path: Bytes, old_path_len: usize, new_path: Bytes, new_path_len: usize, answer: *Result(void)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.remove"(self: Handle, path: Bytes, path_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.remove-tree"(self: Handle, path: Bytes, path_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.set-attributes"(self: Handle, path: Bytes, path_len: usize, mode: i32, bits: u32, owner: i32, owner_ptr: Bytes, owner_len: usize, group: i32, group_ptr: Bytes, group_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.unpack"(arguments: *const Unpack, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.archive"(self: Handle, path: Bytes, path_len: usize, into: Bytes, into_len: usize, answer: *Result(u64)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.unarchive"(self: Handle, archive: Bytes, archive_len: usize, path: Bytes, path_len: usize, mode: i32, bits: u32, owner: i32, owner_ptr: Bytes, owner_len: usize, group: i32, group_ptr: Bytes, group_len: usize, answer: *Result(bool)) void;
    pub extern "runner:step/targets@0.1.0" fn @"[method]target.service"(self: Handle, unit: Bytes, unit_len: usize, action: i32, answer: *Result(void)) void;
};

pub const releases = struct {
    pub extern "runner:step/releases@0.1.0" fn all(target: Handle, root: Bytes, root_len: usize, answer: *Result(List(Release))) void;
    pub extern "runner:step/releases@0.1.0" fn previous(target: Handle, root: Bytes, root_len: usize, answer: *Result(Option(Release))) void;
};

pub const sockets = struct {
    pub extern "runner:step/sockets@0.1.0" fn exchange(on: Handle, path: Bytes, path_len: usize, text: Bytes, text_len: usize, effect: i32, answer: *Result(Text)) void;
};

pub const commands = struct {
    pub extern "runner:step/commands@0.1.0" fn @"[constructor]command"(argv: [*]const Text, argv_len: usize, effect: i32) Handle;
    pub extern "runner:step/commands@0.1.0" fn @"[resource-drop]command"(self: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.env"(self: Handle, name: Bytes, name_len: usize, value: Bytes, value_len: usize) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.env-secret"(self: Handle, name: Bytes, name_len: usize, value: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.stdin"(self: Handle, text: Bytes, text_len: usize) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.stdin-secret"(self: Handle, content: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.stdin-artifact"(self: Handle, content: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.stdin-file"(self: Handle, path: Bytes, path_len: usize) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.decompress"(self: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.stdout-to"(self: Handle, path: Bytes, path_len: usize) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.compress"(self: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.directory"(self: Handle, path: Bytes, path_len: usize) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.timeout"(self: Handle, milliseconds: u32) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.accept"(self: Handle, status: u32) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.skip-if"(self: Handle, check: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.undo-with"(self: Handle, undo: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.keep"(self: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.repeatable"(self: Handle) void;
    pub extern "runner:step/commands@0.1.0" fn @"[method]command.run"(self: Handle, on: Handle, answer: *Result(Output)) void;
};

pub const http = struct {
    pub extern "runner:step/http@0.1.0" fn @"[constructor]request"(method: Bytes, method_len: usize, url: Bytes, url_len: usize, effect: i32) Handle;
    pub extern "runner:step/http@0.1.0" fn @"[resource-drop]request"(self: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.header"(self: Handle, name: Bytes, name_len: usize, value: Bytes, value_len: usize) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.header-secret"(self: Handle, name: Bytes, name_len: usize, value: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.body"(self: Handle, text: Bytes, text_len: usize) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.body-secret"(self: Handle, content: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.body-artifact"(self: Handle, content: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.via"(self: Handle, target: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.connect-to"(self: Handle, address: Bytes, address_len: usize) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.timeout"(self: Handle, milliseconds: u32) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.undo-with"(self: Handle, undo: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.repeatable"(self: Handle) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.send"(self: Handle, answer: *Result(Response)) void;
    pub extern "runner:step/http@0.1.0" fn @"[method]request.download"(self: Handle, answer: *Result(Handle)) void;
};

pub const workspace = struct {
    pub extern "runner:step/workspace@0.1.0" fn stat(path: Bytes, path_len: usize, answer: *Result(Option(Entry))) void;
    pub extern "runner:step/workspace@0.1.0" fn @"read-dir"(path: Bytes, path_len: usize, answer: *Result(List(Entry))) void;
    pub extern "runner:step/workspace@0.1.0" fn read(path: Bytes, path_len: usize, answer: *Result(Text)) void;
    pub extern "runner:step/workspace@0.1.0" fn digest(path: Bytes, path_len: usize, answer: *Result(Text)) void;
    pub extern "runner:step/workspace@0.1.0" fn write(path: Bytes, path_len: usize, text: Bytes, text_len: usize, answer: *Result(bool)) void;
};
