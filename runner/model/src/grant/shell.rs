//! Programs and variables with which whoever has them can run anything. For labels, never for a decision: a list like
//! this is never complete.

use crate::RemotePath;

/// Programs that run what they are told, by argument, by file or from stdin.
const RUNNERS: &[&str] = &[
    // shells, and words that a shell takes for itself
    ".",
    "ash",
    "bash",
    "builtin",
    "busybox",
    "command",
    "csh",
    "dash",
    "eval",
    "exec",
    "fish",
    "ksh",
    "mksh",
    "rbash",
    "sh",
    "source",
    "tcsh",
    "toybox",
    "zsh",
    // programs that run another program
    "at",
    "batch",
    "bwrap",
    "cgi-fcgi",
    "chroot",
    "chrt",
    "cpulimit",
    "crontab",
    "doas",
    "env",
    "expect",
    "find",
    "firejail",
    "flock",
    "gdb",
    "ionice",
    "ld.so",
    "logrotate",
    "ltrace",
    "nice",
    "nohup",
    "nsenter",
    "numactl",
    "parallel",
    "pkexec",
    "rlwrap",
    "run-parts",
    "runuser",
    "script",
    "screen",
    "setarch",
    "setpriv",
    "setsid",
    "socat",
    "start-stop-daemon",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "time",
    "timeout",
    "tmux",
    "unshare",
    "watch",
    "xargs",
    "nc",
    "ncat",
    "netcat",
    // languages
    "awk",
    "bc",
    "bun",
    "deno",
    "gawk",
    "go",
    "groovy",
    "guile",
    "irb",
    "java",
    "jrunscript",
    "jshell",
    "julia",
    "lua",
    "luajit",
    "mawk",
    "nawk",
    "node",
    "nodejs",
    "octave",
    "perl",
    "php",
    "pwsh",
    "pypy",
    "python",
    "rscript",
    "ruby",
    "scala",
    "sed",
    "tclsh",
    "wish",
    // editors and pagers
    "ed",
    "emacs",
    "ex",
    "less",
    "man",
    "more",
    "nano",
    "pico",
    "rvim",
    "vi",
    "view",
    "vim",
    "vimdiff",
    // build and package tools: they run what a folder says
    "ant",
    "apt",
    "apt-get",
    "bundle",
    "cargo",
    "cmake",
    "composer",
    "dnf",
    "dpkg",
    "gem",
    "git",
    "gmake",
    "gradle",
    "make",
    "maven",
    "mvn",
    "ninja",
    "npm",
    "npx",
    "pip",
    "pnpm",
    "rake",
    "rpm",
    "yarn",
    "yum",
    "zypper",
    // other machines and containers
    "docker",
    "kubectl",
    "lxc",
    "machinectl",
    "nerdctl",
    "podman",
    "rsync",
    "scp",
    "sftp",
    "ssh",
    "virsh",
    // databases whose client has a way out
    "mariadb",
    "mongo",
    "mongosh",
    "mysql",
    "psql",
    "redis-cli",
    "sqlite",
];

/// Variables that change which program runs, or what it loads.
const STEERING: &[&str] = &[
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "GLOBIGNORE",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "LESSOPEN",
    "MAKEFLAGS",
    "MANPAGER",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PAGER",
    "PATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "SYSTEMD_EDITOR",
    "SYSTEMD_PAGER",
    "VISUAL",
    "XDG_CONFIG_HOME",
    "_JAVA_OPTIONS",
];

/// Beginnings of such variables.
const STEERING_PREFIXES: &[&str] = &["BASH_FUNC_", "DYLD_", "GIT_", "LD_", "PERL", "PYTHON", "NPM_CONFIG_"];

/// The last segment of a program's path.
pub(super) fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Whether a program runs what it is told. `python3.11`, `php8.2` and `ld-linux-x86-64.so.2` are meant too.
pub(super) fn runs_programs(program: &str) -> bool {
    let name = file_name(program);
    let without_version = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let known = |name: &str| RUNNERS.iter().any(|known| known.eq_ignore_ascii_case(name));
    known(name) || known(without_version) || name.starts_with("ld-linux") || name.starts_with("ld-musl")
}

/// Whether whoever speaks to the socket can have programs run: containers, virtual machines, the init system.
pub(super) fn socket_runs_programs(socket: &RemotePath) -> bool {
    const NAMES: [&str; 9] = [
        "containerd.sock",
        "crio.sock",
        "docker.sock",
        "libvirt-sock",
        "podman.sock",
        "private",
        "snapd.socket",
        "system_bus_socket",
        "unix.socket",
    ];
    NAMES.contains(&file_name(socket.as_str()))
}

/// Whether a variable changes which program runs or what it loads.
pub(super) fn steers_programs(variable: &str) -> bool {
    let variable = variable.to_ascii_uppercase();
    STEERING.contains(&variable.as_str())
        || STEERING_PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
}

/// Whether who may write there decides what the machine, or its users, run next.
pub(super) fn changes_what_runs(prefix: &RemotePath) -> bool {
    const PLACES: [&str; 16] = [
        "/bin",
        "/boot",
        "/etc/cron.d",
        "/etc/crontab",
        "/etc/init.d",
        "/etc/ld.so.preload",
        "/etc/passwd",
        "/etc/profile.d",
        "/etc/ssh",
        "/etc/sudoers.d",
        "/etc/systemd",
        "/home",
        "/lib",
        "/root",
        "/sbin",
        "/usr",
    ];
    prefix.segments().any(|segment| segment == ".ssh")
        || PLACES.iter().any(|place| {
            // A user's own folder below /home is where small releases live; the folder itself holds `.profile`.
            let below = prefix.as_str().strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
            let above = place.parse().is_ok_and(|place: RemotePath| place.is_within(prefix));
            above
                || match *place {
                    "/home" => below && prefix.segments().count() == 2,
                    _ => below,
                }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_folders_do_not_hide_an_interpreter() {
        for program in
            ["sh", "/bin/sh", "python3.11", "php8.2", "perl5.36", "/lib64/ld-linux-x86-64.so.2", "."]
        {
            assert!(runs_programs(program), "{program}");
        }
        for program in ["systemctl", "/usr/bin/nginx", "shred", "pythonic"] {
            assert!(!runs_programs(program), "{program}");
        }
        let socket = |path: &str| socket_runs_programs(&path.parse().expect(path));
        assert!(socket("/var/run/docker.sock") && socket("/run/dbus/system_bus_socket"));
        assert!(!socket("/run/haproxy/admin.sock"));
        assert!(
            steers_programs("LD_PRELOAD") && steers_programs("ld_preload") && !steers_programs("APP_ENV")
        );
    }
}
