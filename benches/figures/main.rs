//! What the runner promises about speed and memory, measured with the real binary and real modules, each figure beside
//! its bound:
//!
//! ```sh
//! cargo bench -p runner --bench figures                 # prints the table
//! cargo bench -p runner --bench figures -- --check      # exits with 1 when a figure is over its bound
//! cargo bench -p runner --bench figures -- start call   # only these: start, call, share, journal, memory
//! cargo bench -p runner --bench figures -- languages    # the reference step in each language, side by side
//! ```
//!
//! Timings belong here and not in tests: a machine that is busy must not fail a change.

mod call;
mod journal;
mod languages;
mod plans;
mod start;
mod watch;
mod work;

use std::fmt::Write as _;
use std::time::Duration;

/// Whatever goes wrong ends one figure with these words, and the others go on.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A measured figure.
pub(crate) struct Figure {
    what: String,
    measured: f64,
    bound: f64,
    unit: &'static str,
    how: String,
}

impl Figure {
    fn holds(&self) -> bool {
        self.measured <= self.bound
    }
}

type Measure = fn() -> Outcome<Vec<Figure>>;

fn main() -> std::process::ExitCode {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let check = given.iter().any(|argument| argument == "--check");
    let all: [(&str, Measure); 5] = [
        ("start", start::measure),
        ("call", call::measure),
        ("share", work::share),
        ("journal", journal::cost),
        ("memory", work::memory),
    ];
    if given.iter().any(|argument| argument == "languages") {
        return match languages::table() {
            Ok(table) => {
                show(&table);
                0.into()
            }
            Err(error) => {
                eprintln!("languages: {error}");
                1.into()
            }
        };
    }
    let named: Vec<&String> = given.iter().filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = named.iter().find(|name| all.iter().all(|(known, _)| known != &name.as_str())) {
        eprintln!("there is no figure `{unknown}`; there are start, call, share, journal and memory");
        return 2.into();
    }
    let (mut figures, mut complete) = (Vec::new(), true);
    for (name, measure) in all {
        if !named.is_empty() && !named.iter().any(|wanted| *wanted == name) {
            continue;
        }
        match measure() {
            Ok(measured) => figures.extend(measured),
            Err(error) => {
                eprintln!("SKIPPED: {name}: {error}");
                complete = false;
            }
        }
    }
    show(&table(&figures));
    let holds = complete && figures.iter().all(Figure::holds);
    u8::from(check && !holds).into()
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn show(table: &str) {
    print!("{table}");
}

fn table(figures: &[Figure]) -> String {
    let mut text =
        String::from("\n| figure | measured | bound | | how |\n| --- | ---: | ---: | --- | --- |\n");
    for figure in figures {
        let verdict = if figure.holds() { "ok" } else { "OVER" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.1} {unit} | {} {unit} | {verdict} | {} |",
            figure.what,
            figure.measured,
            figure.bound,
            figure.how,
            unit = figure.unit
        );
    }
    text
}

/// The middle one; of none, nothing.
pub(crate) fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
