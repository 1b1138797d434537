//! A process seen from outside: what `/proc` says of it while it runs.

use std::collections::BTreeMap;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How often it is looked at. What happens after the last look is not seen.
const EVERY: Duration = Duration::from_millis(4);

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) wall: Duration,
    /// The most memory that was resident, in bytes.
    pub(crate) memory: u64,
    /// Processor time of the threads that guests run on; host functions included.
    pub(crate) guests: Duration,
    /// Processor time of all threads.
    pub(crate) all: Duration,
}

/// Watches it until it ends.
pub(crate) fn watch(mut child: Child) -> std::io::Result<(ExitStatus, Seen)> {
    let started = Instant::now();
    let folder = format!("/proc/{}", child.id());
    let mut threads: BTreeMap<String, (bool, Duration)> = BTreeMap::new();
    let mut seen = Seen::default();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let text = std::fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let most = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        seen.memory = seen.memory.max(most.unwrap_or_default() * 1024);
        for thread in std::fs::read_dir(format!("{folder}/task")).into_iter().flatten().flatten() {
            let Some(id) = thread.file_name().to_str().map(str::to_owned) else { continue };
            let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
            let time = read("schedstat").split_whitespace().next().and_then(|time| time.parse().ok());
            if let Some(time) = time {
                let name = read("comm");
                threads.insert(id, (name.trim() == "guest", Duration::from_nanos(time)));
            }
        }
        std::thread::sleep(EVERY);
    };
    seen.wall = started.elapsed();
    seen.guests = threads.values().filter(|(guest, _)| *guest).map(|(_, time)| *time).sum();
    seen.all = threads.values().map(|(_, time)| *time).sum();
    Ok((status, seen))
}
