//! From the start of the process to the first command on a target, with modules compiled before.

use crate::plans::{ONE_STEP, Place, inventory, words};
use crate::{Figure, Outcome, median, milliseconds};
use runner_fleet::Fleet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RUNS: usize = 21;
const BOUND: f64 = 40.0;

pub(crate) fn measure() -> Outcome<Vec<Figure>> {
    let mut figures = vec![local()?];
    match Fleet::start(1) {
        Ok(fleet) => figures.push(ssh(&fleet)?),
        Err(missing) => eprintln!("SKIPPED: start over ssh: {missing}"),
    }
    Ok(figures)
}

/// On this machine a script stands in for `sh`, and says when the first shell of the target begins.
fn local() -> Outcome<Figure> {
    let place =
        Place::new(ONE_STEP, "inventory = 1\n[target.here]\nconnection = \"local\"\nroles = [\"web\"]\n")?;
    let times = place.path().join("times");
    let path = place.stand_in("sh", &times, false)?;
    let mut measured = Vec::new();
    for _ in 0..RUNS {
        std::fs::write(&times, "")?;
        let started = now();
        let output = place.runner("exec").env("PATH", &path).output()?;
        if !output.status.success() {
            return Err(words("run the plan", &output).into());
        }
        let begun = moments(&times, "begin")?.first().copied().ok_or("no shell was started")?;
        measured.push(begun.saturating_sub(started));
    }
    Ok(Figure {
        what: "warm start to the first command, local".to_owned(),
        measured: milliseconds(median(&mut measured)),
        bound: BOUND,
        unit: "ms",
        how: format!("process start to the target's shell; median of {RUNS}"),
    })
}

/// Over ssh, a script stands in for `ssh`, and says how long the handshake took. The end is the event that tells that
/// the target is connected, which comes after the answers to the first requests: this is more than what is promised.
fn ssh(fleet: &Fleet) -> Outcome<Figure> {
    let place = Place::new(ONE_STEP, &inventory(fleet)?)?;
    let times = place.path().join("times");
    let path = place.stand_in("ssh", &times, true)?;
    let (mut measured, mut handshakes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        std::fs::write(&times, "")?;
        let started = now();
        let mut command = place.runner("exec");
        command.args(["--events", "/dev/stdout"]).env("PATH", &path);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let events = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut connected = None;
        for line in events.lines() {
            if line?.contains("\"event\":\"connected\"") {
                connected.get_or_insert_with(now);
            }
        }
        if !child.wait()?.success() {
            return Err("the run over ssh failed".into());
        }
        let connected = connected.ok_or("no target was connected")?;
        let (begun, ended) = (moments(&times, "begin")?, moments(&times, "end")?);
        let (Some(begun), Some(ended)) = (begun.first(), ended.first()) else {
            return Err("ssh was not started".into());
        };
        let handshake = ended.saturating_sub(*begun);
        measured.push(connected.saturating_sub(started).saturating_sub(handshake));
        handshakes.push(handshake);
    }
    let handshake = milliseconds(median(&mut handshakes));
    Ok(Figure {
        what: "warm start to the first command, ssh".to_owned(),
        measured: milliseconds(median(&mut measured)),
        bound: BOUND,
        unit: "ms",
        how: format!(
            "process start to the answers of the first requests, without the {handshake:.0} ms in which ssh \
             connected; median of {RUNS}"
        ),
    })
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The moments with this word in the file of a stand-in.
fn moments(file: &Path, word: &str) -> Outcome<Vec<Duration>> {
    let text = std::fs::read_to_string(file)?;
    let moments = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    moments.map(|moment| Ok(Duration::from_secs_f64(moment.replace(',', ".").parse()?))).collect()
}
