//! Watchdogs on targets: what puts a link back on its own when nobody confirms in time.

use crate::Within;
use crate::channel::temporary;
use crate::machine::{Machine, refusal};
use crate::script::{CLEAN, Line, no_nul, quoted};
use crate::shell::Answer;
use crate::user::{User, odd, split};
use runner_model::{Acting, Failure, FailureKind, RemotePath, ServiceAction};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// What waits on the target, and what puts the link back there as another user.
const WATCH: &str = include_str!("watchdog/watch.sh");
const RELINK: &str = include_str!("watchdog/relink.sh");

/// The longest that one may wait: more can only be a mistake.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// How many services one may ask.
const SERVICES_MAX: usize = 15;
/// How soon it is looked again whether one that fires has come to its end.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is to happen on a target when nobody confirms in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    /// How long it waits, from when it is armed.
    pub after: Duration,
    /// The link, `current` in the release root.
    pub link: RemotePath,
    /// What it points to when it is to be put back. One that points elsewhere by then is left alone.
    pub expects: String,
    /// What it is to point to then; `None`: it is removed.
    pub back_to: Option<String>,
    /// Who replaces the link.
    pub link_as: Acting,
    /// What is asked of which services once the link is back, in this order, and by whom.
    pub services: Vec<(Acting, String, ServiceAction)>,
}

/// How disarming ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disarmed {
    /// It never fires: it was disarmed now, or before.
    Disarmed,
    /// The run has armed none here.
    NotArmed,
    /// It was faster.
    Fired(Fired),
}

/// What a watchdog has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fired {
    /// When, by the target's clock, in seconds since 1970.
    pub at: u64,
    /// What became of the link.
    pub link: PutBack,
    /// What came of each service that was asked; none is unless the link was put back.
    pub services: Vec<(String, Asked)>,
}

/// What a watchdog did to its link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PutBack {
    /// It points to what it pointed to before, or is gone where there was none.
    Reverted,
    /// It did not point to what the run had made it point to, so nothing was touched.
    LeftAlone {
        /// Where it leads; `None`: no link is there.
        points_to: Option<String>,
    },
    /// It could not be replaced, or nobody can tell.
    Failed {
        /// What the target said.
        why: String,
    },
}

/// What came of a service that a watchdog asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// It has reached its state.
    Done,
    /// The command ended like this.
    Failed {
        /// Its exit status.
        status: u32,
        /// The beginning of what it printed.
        said: String,
    },
    /// It did not reach its state in time.
    Late {
        /// The beginning of what the command printed.
        said: String,
    },
}

/// What became of the last watchdog of a run.
enum Found {
    /// None is there.
    Nothing,
    Armed,
    Disarmed,
    /// This one is at it, for so long at most.
    Firing(Duration),
    Fired(u64, Fired),
}

impl Machine {
    pub(crate) async fn arm(self: &Arc<Self>, watchdog: &Watchdog) -> Result<(), Failure> {
        let what = format!("arm a watchdog for `{}` on {}", watchdog.link, self.name());
        let place = self.run_folder(&what)?;
        let invalid = |why: &str| Err(Failure::new(FailureKind::Invalid, format!("{what}: {why}")));
        if watchdog.after.is_zero() || watchdog.after > LONGEST {
            return invalid("it must wait for some time, and for a year at most");
        }
        if watchdog.expects.is_empty() || watchdog.back_to.as_ref().is_some_and(String::is_empty) {
            return invalid("a link cannot point to nothing");
        }
        for text in [Some(&watchdog.expects), watchdog.back_to.as_ref()].into_iter().flatten() {
            no_nul(&format!("{what}: what the link points to"), text)?;
        }
        if watchdog.services.len() > SERVICES_MAX {
            return invalid("it would ask more services than anybody waits for");
        }
        let folder = self.stead(&what, watchdog).await?;
        let mut asking = Vec::new();
        for (acting, unit, action) in &watchdog.services {
            asking.push(self.asking(&what, acting, unit, *action).await?);
        }
        let limit = self.limits().service;
        let bound = self.firing(asking.len()).as_secs();
        let fence = self.fence_for(&Acting::Login);
        let script = format!("{fence}{}", script(watchdog, &folder, &asking, limit));
        let line = Line::new("m")
            .word("v_arm")
            .arg(place.as_str())
            .word(&self.fired.load(Ordering::Relaxed).to_string())
            .word(&bound.to_string())
            .arg(script);
        let answer = self.ask_login(&what, line).await?;
        if answer.status == 0 { Ok(()) } else { Err(refusal(&what, &answer)) }
    }

    /// How long the firing takes at most: the link's turn, and one for each service; and some time to start and to end.
    fn firing(&self, services: usize) -> Duration {
        let turns = u32::try_from(services).unwrap_or(u32::MAX).saturating_add(1);
        self.limits().service.saturating_mul(turns).saturating_add(Duration::from_secs(10))
    }

    pub(crate) async fn disarm(self: &Arc<Self>) -> Result<Disarmed, Failure> {
        let what = format!("disarm the watchdog on {}", self.name());
        match self.settled(&what, true).await? {
            Found::Fired(_, fired) => Ok(Disarmed::Fired(fired)),
            Found::Disarmed => Ok(Disarmed::Disarmed),
            Found::Nothing => Ok(Disarmed::NotArmed),
            Found::Armed | Found::Firing(_) => {
                Err(Failure::new(FailureKind::Other, format!("{what}: it is still armed")))
            }
        }
    }

    pub(crate) async fn watchdog(self: &Arc<Self>) -> Result<Option<Fired>, Failure> {
        let what = format!("look at the watchdog on {}", self.name());
        match self.settled(&what, false).await? {
            Found::Fired(_, fired) => Ok(Some(fired)),
            _ => Ok(None),
        }
    }

    fn run_folder(&self, what: &str) -> Result<RemotePath, Failure> {
        let place = self.place().ok_or_else(|| {
            Failure::new(FailureKind::Other, format!("{what}: no run has begun on the target"))
        })?;
        Ok(place.real)
    }

    async fn ask_login(self: &Arc<Self>, what: &str, line: Line) -> Result<Answer, Failure> {
        self.login().call(what, Within::default().reading(), None, line, self.limits().verb).await
    }

    /// Where the link's folder really is. Only trusted users can change the way to it, now and later.
    async fn stead(self: &Arc<Self>, what: &str, watchdog: &Watchdog) -> Result<RemotePath, Failure> {
        let owner = User { machine: Arc::clone(self), acting: watchdog.link_as.clone() };
        let Some(root) = watchdog.link.parent() else {
            return Err(Failure::new(FailureKind::Invalid, format!("{what}: the root is no link")));
        };
        let within = [root];
        let (folder, base) = split(&watchdog.link);
        let line = Line::new("v_stead").arg(folder).arg(base);
        let held = Within::both(&within).writing();
        let answer = owner.call(what, held, None, line, self.limits().verb).await?;
        if answer.status != 0 {
            return Err(refusal(what, &answer));
        }
        let real = String::from_utf8_lossy(&answer.out);
        real.trim_end_matches('\n').parse().map_err(|_| odd(what, &answer))
    }

    /// Script text that asks a service as [`User::do_service`] does.
    async fn asking(
        self: &Arc<Self>,
        what: &str,
        acting: &Acting,
        unit: &str,
        action: ServiceAction,
    ) -> Result<String, Failure> {
        let user = User { machine: Arc::clone(self), acting: acting.clone() };
        let (by, sudo) = user.runs_as(what).await?;
        let (act, state) = by.service_words(what, unit, action.word()).await?;
        let goal = if action == ServiceAction::Stop && state.is_some() { "down" } else { "up" };
        let command = |argv: &[String]| {
            let words = sudo.iter().chain(argv).map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            as_user(&by.acting, &format!("exec {CLEAN} {words} </dev/null"))
        };
        let state = state.map_or_else(|| "true".to_owned(), |argv| command(&argv));
        Ok(format!("ask {} {goal} {} {}\n", quoted(unit), quoted(&command(&act)), quoted(&state)))
    }

    /// What became of the last watchdog; of one that is firing, its end is waited for.
    async fn settled(self: &Arc<Self>, what: &str, disarm: bool) -> Result<Found, Failure> {
        let place = self.run_folder(what)?;
        let begun = Instant::now();
        loop {
            let look = Line::new("v_watchdog").arg(place.as_str());
            let line = if disarm { Line::new("m").and(&look.arg("disarm")) } else { look.arg("") };
            let answer = self.ask_login(what, line).await?;
            let found = match answer.status {
                0 => parse(&answer.out).ok_or_else(|| odd(what, &answer))?,
                41 => Found::Nothing,
                _ => return Err(refusal(what, &answer)),
            };
            match found {
                // The target may say anything.
                Found::Firing(bound) if begun.elapsed() < bound.min(self.firing(SERVICES_MAX)) => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Found::Firing(_) => {
                    let waited = begun.elapsed().as_secs();
                    let why = format!("{what}: it has fired, and is not done after {waited} s");
                    return Err(Failure::new(FailureKind::Timeout, why));
                }
                Found::Fired(number, fired) => {
                    self.fired.fetch_max(number, Ordering::Relaxed);
                    return Ok(Found::Fired(number, self.hidden(fired)));
                }
                other => return Ok(other),
            }
        }
    }

    /// The same without the secrets that a service may have printed.
    fn hidden(&self, fired: Fired) -> Fired {
        let hide = |text: String| self.shared.vault.hide(text);
        let link = match fired.link {
            PutBack::LeftAlone { points_to } => PutBack::LeftAlone { points_to: points_to.map(hide) },
            PutBack::Failed { why } => PutBack::Failed { why: hide(why) },
            PutBack::Reverted => PutBack::Reverted,
        };
        let asked = |asked| match asked {
            Asked::Failed { status, said } => Asked::Failed { status, said: hide(said) },
            Asked::Late { said } => Asked::Late { said: hide(said) },
            Asked::Done => Asked::Done,
        };
        let services = fired.services.into_iter().map(|(unit, came)| (unit, asked(came))).collect();
        Fired { at: fired.at, link, services }
    }
}

/// Script text that has a shell of this user run other script text, which sudo's log does not see.
fn as_user(acting: &Acting, script: &str) -> String {
    let sudo = match acting {
        Acting::Login => String::new(),
        Acting::As(user) => format!("sudo -n -u {} -- ", quoted(user.as_str())),
    };
    format!("printf '%s\\n' {} | {sudo}sh", quoted(script))
}

/// What runs on the target.
fn script(watchdog: &Watchdog, folder: &RemotePath, asking: &[String], limit: Duration) -> String {
    let hundredths = |time: Duration| time.as_millis().div_ceil(10);
    let mut relink = format!(
        "R={}; C={}; E={}; T={}\n",
        quoted(folder.as_str()),
        quoted(watchdog.link.name().unwrap_or_default()),
        quoted(&watchdog.expects),
        temporary(),
    );
    match &watchdog.back_to {
        Some(back_to) => _ = writeln!(relink, "B={}", quoted(back_to)),
        None => relink.push_str("unset B\n"),
    }
    relink.push_str(RELINK);
    format!(
        "AFTER={}; LIMIT={}\nput_back() {{\n{}\n}}\nask_all() {{\n:\n{}}}\n{WATCH}",
        hundredths(watchdog.after),
        hundredths(limit),
        as_user(&watchdog.link_as, &relink),
        asking.concat(),
    )
}

/// What `v_watchdog` says: a word, a number, and what belongs to it.
fn parse(answer: &[u8]) -> Option<Found> {
    let text = String::from_utf8_lossy(answer);
    let (first, record) = text.split_once('\n').unwrap_or((&text, ""));
    let mut words = first.split_whitespace();
    let (state, number) = (words.next()?, words.next()?.parse().ok()?);
    match state {
        "none" => return Some(Found::Nothing),
        "armed" => return Some(Found::Armed),
        "disarmed" => return Some(Found::Disarmed),
        "fired" => {}
        _ => return None,
    }
    match words.next()? {
        "firing" => Some(Found::Firing(Duration::from_secs(words.next()?.parse().ok()?))),
        "cut" => {
            let why = "it was cut off while it fired, as when the machine goes down".to_owned();
            let at = words.next()?.parse().ok()?;
            Some(Found::Fired(number, Fired { at, link: PutBack::Failed { why }, services: vec![] }))
        }
        "record" => Some(Found::Fired(number, read(record))),
        _ => None,
    }
}

/// A record. What is missing in one that a full disk has cut off is said.
fn read(record: &str) -> Fired {
    let mut fired = Fired {
        at: 0,
        link: PutBack::Failed { why: "its record is not whole: is the target's disk full?".to_owned() },
        services: vec![],
    };
    for line in record.lines() {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "at" => fired.at = rest.parse().unwrap_or_default(),
            "link" => {
                let (word, more) = rest.split_once(' ').unwrap_or((rest, ""));
                let more = more.trim_end().to_owned();
                fired.link = match word {
                    "reverted" => PutBack::Reverted,
                    "left" => PutBack::LeftAlone { points_to: Some(more).filter(|to| !to.is_empty()) },
                    _ => PutBack::Failed { why: more },
                };
            }
            "service" => {
                let mut words = rest.splitn(3, ' ');
                let (unit, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let said = words.next().unwrap_or_default().trim_end().to_owned();
                let asked = match status.parse() {
                    Ok(0) => Asked::Done,
                    Ok(status) => Asked::Failed { status, said },
                    Err(_) => Asked::Late { said },
                };
                fired.services.push((unit.to_owned(), asked));
            }
            _ => {}
        }
    }
    fired
}
