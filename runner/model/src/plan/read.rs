//! From TOML to [`Plan`].

use super::{
    AllowTable, Environment, Gaps, Goal, LimitsTable, ModuleSource, OnFailure, Plan, ReleaseTable,
    RetryTable, SecretEntry, Step, Strategy, Variable, With, inventory, read_modules, read_secrets,
};
use crate::diagnostic::{Code, Problem, Problems};
use crate::quantity::Period;
use crate::read::{Item, Reader, Table, choice, text_of};
use crate::source::{Source, Span, Spanned};
use crate::template::{SCOPES, Template, ValueTemplate};
use crate::{EnvironmentName, ModuleName, SecretName, StepId, VarName};
use std::collections::{BTreeMap, HashMap};
use toml::de::DeValue;

/// The version of the language that is read.
const VERSION: i64 = 1;
/// More targets than anybody has.
const MOST_TARGETS: u32 = 100_000;

/// The keys that later versions will know, and what they will do.
const LATER: [(&str, &str); 3] = [
    ("people", "say who does what, in the report and in notices"),
    ("report", "write reports as JUnit, HTML and Markdown"),
    ("state", "name a shared place for journals, passes and approvals"),
];
const LATER_ENVIRONMENT: [(&str, &str); 1] =
    [("after", "ask that another environment took the same release first")];
/// What is collected before it is known to be a plan.
struct Draft {
    name: Option<Spanned<crate::PlanName>>,
    summary: Option<Spanned<String>>,
    vars: BTreeMap<VarName, Variable>,
    secrets: BTreeMap<SecretName, SecretEntry>,
    modules: BTreeMap<ModuleName, Spanned<ModuleSource>>,
    environment: BTreeMap<EnvironmentName, Environment>,
    release: Option<Spanned<ReleaseTable>>,
    cluster: Option<Step>,
    strategy: Option<Spanned<Strategy>>,
    limits: LimitsTable,
    phases: [Vec<Step>; 5],
    gaps: Gaps,
}

impl Plan {
    /// Reads a plan. `name`: the file as problems name it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let (plan, problems) = Self::read(name, bytes)?;
        problems.or(Some(plan)).map(|(plan, _)| plan)
    }

    /// Reads as much of a plan as can be read, so that [`check`](crate::check::check) finds what else is wrong. A plan
    /// that comes with errors is for that alone. `name`: the file as problems name it.
    ///
    /// # Errors
    /// It is not even TOML.
    pub fn read(name: &str, bytes: &[u8]) -> Result<(Self, Problems), Problems> {
        let reader = Reader::new(text_of(name, bytes)?);
        match reader.document("a plan", draft) {
            Some(draft) => Ok((draft.into_plan(reader.source.clone()), reader.into_problems())),
            None => reader.into_problems().or(None),
        }
    }
}

impl Draft {
    fn into_plan(self, source: Source) -> Plan {
        let [prepare, stage, rollout, finish, always] = self.phases;
        Plan {
            source,
            plan: 1,
            // Without a name the plan is for finding errors only; none of them repeats it.
            name: self.name.unwrap_or_else(|| Spanned::new(crate::PlanName::unnamed(), Span::default())),
            summary: self.summary,
            vars: self.vars,
            secrets: self.secrets,
            modules: self.modules,
            environment: self.environment,
            release: self.release,
            cluster: self.cluster,
            strategy: self.strategy,
            limits: self.limits,
            prepare,
            stage,
            rollout,
            finish,
            always,
            gaps: self.gaps,
        }
    }
}

fn draft(reader: &Reader, table: Table<'_>) -> Draft {
    const PHASES: [&str; 5] = ["prepare", "stage", "rollout", "finish", "always"];
    reader.version(&table, "plan", VERSION);
    let mut gaps = Gaps::default();
    let draft = Draft {
        name: table
            .require(reader, "name", "\"shop\"")
            .and_then(|item| reader.parsed(&item, "the name of the plan in quotes")),
        summary: table.take("summary").and_then(|item| reader.line(&item)),
        vars: table.take("vars").map(|item| vars(reader, &item, &mut gaps)).unwrap_or_default(),
        secrets: table
            .take("secrets")
            .map(|item| read_secrets::secrets(reader, &item, &mut gaps.secrets))
            .unwrap_or_default(),
        modules: table
            .take("modules")
            .map(|item| read_modules::modules(reader, &item, &mut gaps.modules))
            .unwrap_or_default(),
        environment: environments(reader, &table, &mut gaps),
        release: table.take("release").and_then(|item| release(reader, &item, &mut gaps)),
        cluster: table.take("cluster").and_then(|item| cluster(reader, &item, &mut gaps)),
        strategy: table.take("strategy").and_then(|item| strategy(reader, &item, &mut gaps)),
        limits: table.take("limits").map(|item| limits(reader, &item, "`[limits]`")).unwrap_or_default(),
        phases: PHASES.map(|phase| {
            let item = table.take(phase);
            let tables = item.as_ref().map(|item| reader.tables(item, "a step")).unwrap_or_default();
            if item.is_some() && tables.is_empty() {
                gaps.steps.add_all();
            }
            tables.into_iter().filter_map(|table| step(reader, &table, &mut gaps)).collect()
        }),
        gaps: Gaps::default(),
    };
    table.finish(reader, &LATER);
    for key in table.misspelled() {
        match key {
            "vars" => gaps.vars.add_all(),
            "secrets" => gaps.secrets.add_all(),
            "modules" => gaps.modules.add_all(),
            "environment" => gaps.environments.add_all(),
            "release" => gaps.release = true,
            "strategy" => gaps.strategy = true,
            "cluster" => gaps.cluster = true,
            phase if PHASES.contains(&phase) => gaps.steps.add_all(),
            _ => {}
        }
    }
    unique_ids(reader, &draft.phases);
    Draft { gaps, ..draft }
}

fn vars(reader: &Reader, item: &Item<'_>, gaps: &mut Gaps) -> BTreeMap<VarName, Variable> {
    let mut vars = BTreeMap::new();
    if !is_table(item) {
        gaps.vars.add_all();
    }
    for entry in reader.entries(item) {
        let before = reader.count();
        let name = reader.named::<VarName>(&entry);
        let value = values(reader, &entry, "", &mut With::default());
        match (name, value.filter(|_| reader.count() == before)) {
            (Some(name), Some(value)) => match value.as_plain() {
                Some(value) => {
                    vars.insert(name.value, Variable { value, name: name.span, span: entry.span });
                }
                None => {
                    gaps.vars.add(entry.name);
                    reader.push(
                        reader
                            .problem(
                                Code::BadReference,
                                entry.span,
                                format!("the variable `{}` refers to something", entry.name),
                            )
                            .because("the value of a variable is what it says, no more")
                            .hint("write the reference where the variable is used; `$${` is the text `${`"),
                    );
                }
            },
            _ => gaps.vars.add(entry.name),
        }
    }
    vars
}

fn environments(
    reader: &Reader,
    table: &Table<'_>,
    gaps: &mut Gaps,
) -> BTreeMap<EnvironmentName, Environment> {
    let mut environments = BTreeMap::new();
    const HINT: &str = "add `[environment.staging]` with `inventory = \"staging.toml\"`";
    let Some(item) = table.take("environment") else {
        gaps.environments.add_all();
        let problem = reader.problem(Code::Missing, table.span, "a plan needs at least one environment");
        reader.push(problem.hint(HINT));
        return environments;
    };
    if !is_table(&item) {
        gaps.environments.add_all();
    }
    for entry in reader.entries(&item) {
        let known = environments.len();
        if let Some(name) = reader.named::<EnvironmentName>(&entry)
            && let Some(table) = reader.table(&entry, "an environment")
        {
            let inventory = table.require(reader, "inventory", "\"staging.toml\"");
            let secrets = table.take("secrets");
            let secrets = secrets.map(|item| read_secrets::secrets(reader, &item, &mut gaps.secrets));
            table.finish(reader, &LATER_ENVIRONMENT);
            if let Some(inventory) = inventory.and_then(|item| inventory::read(reader, &item)) {
                environments.insert(
                    name.value,
                    Environment { inventory, secrets: secrets.unwrap_or_default(), span: name.span },
                );
            }
        }
        if environments.len() == known {
            gaps.environments.add(entry.name);
        }
    }
    environments
}

fn release(reader: &Reader, item: &Item<'_>, gaps: &mut Gaps) -> Option<Spanned<ReleaseTable>> {
    let before = reader.count();
    let release = release_table(reader, item);
    gaps.release = reader.count() > before;
    release
}

fn release_table(reader: &Reader, item: &Item<'_>) -> Option<Spanned<ReleaseTable>> {
    let table = reader.table(item, "`[release]`")?;
    let root = table.require(reader, "root", "\"/srv/shop\"").and_then(|item| template(reader, &item));
    let artifact = table.take("artifact").and_then(|item| template(reader, &item));
    let shared = table.take("shared").and_then(|item| reader.array(&item, "a list of paths"));
    let shared = shared.unwrap_or_default().iter().filter_map(|element| template(reader, element)).collect();
    let keep = table.take("keep").and_then(|item| reader.number(&item, 1, 1000));
    let version = table.take("version").and_then(|item| template(reader, &item));
    table.finish(reader, &[]);
    Some(Spanned::new(ReleaseTable { root: root?, artifact, shared, keep, version }, table.span))
}

fn strategy(reader: &Reader, item: &Item<'_>, gaps: &mut Gaps) -> Option<Spanned<Strategy>> {
    let strategy = strategy_table(reader, item);
    gaps.strategy = strategy.is_none();
    strategy
}

fn strategy_table(reader: &Reader, item: &Item<'_>) -> Option<Spanned<Strategy>> {
    let table = reader.table(item, "`[strategy]`")?;
    let role = table
        .require(reader, "role", "\"web\"")
        .and_then(|item| reader.parsed(&item, "the name of a role in quotes"));
    let first = table.take("first").and_then(|item| reader.parsed(&item, "the name of a label in quotes"));
    let batches = table.take("batches").and_then(|item| goals(reader, &item));
    let pause = table.take("pause").and_then(|item| some_time(reader, &item));
    let min_in_service = table.take("min-in-service").and_then(|item| in_service(reader, &item));
    let confirm_timeout = table.take("confirm-timeout").and_then(|item| some_time(reader, &item));
    let max_failures = table.take("max-failures").and_then(|item| reader.number(&item, 0, MOST_TARGETS));
    let on_failure = table.take("on-failure").and_then(|item| {
        choice(reader, &item, &[("stop", OnFailure::Stop), ("rollback", OnFailure::Rollback)])
    });
    table.finish(reader, &[]);
    let strategy = Strategy {
        role: role?,
        first,
        batches,
        pause,
        min_in_service,
        confirm_timeout,
        max_failures,
        on_failure,
    };
    Some(Spanned::new(strategy, table.span))
}

/// A number of targets, or a share of them.
fn goal(item: &Item<'_>) -> Option<Goal> {
    match item.value {
        DeValue::String(text) => text.parse().ok(),
        DeValue::Integer(number) => {
            let count = number.as_str().parse().ok();
            count.filter(|count| (1..=MOST_TARGETS).contains(count)).map(Goal::Count)
        }
        _ => None,
    }
}

fn in_service(reader: &Reader, item: &Item<'_>) -> Option<Spanned<Goal>> {
    let goal = goal(item);
    if goal.is_none() {
        reader.push(
            reader
                .problem(Code::BadValue, item.span, "`min-in-service` is no number of targets")
                .because("a number from 1, as in `2`, or a share of all, as in `\"75%\"`")
                .hint("write `min-in-service = \"75%\"`, or leave it out: then any number may leave"),
        );
    }
    Some(Spanned::new(goal?, item.span))
}

fn goals(reader: &Reader, item: &Item<'_>) -> Option<Spanned<Vec<Spanned<Goal>>>> {
    const EXAMPLE: &str = "write `batches = [1, \"25%\", \"100%\"]`";
    let elements = reader.array(item, "a list of batches")?;
    if elements.is_empty() {
        let problem = reader.problem(Code::BadValue, item.span, "there is no batch in `batches`");
        reader.push(problem.hint(format!("{EXAMPLE}, or leave it out")));
    }
    let mut goals: Vec<Spanned<Goal>> = Vec::new();
    for element in &elements {
        let goal = goal(element);
        let Some(goal) = goal.map(|goal| Spanned::new(goal, element.span)) else {
            reader.push(
                reader
                    .problem(Code::BadValue, element.span, "this is not a batch")
                    .because("a number of targets, as in `1`, or a share of them, as in `\"25%\"`")
                    .hint(EXAMPLE),
            );
            continue;
        };
        if let Some(last) = goals.last().filter(|last| !last.is_before(goal.value)) {
            reader.push(
                reader
                    .problem(
                        Code::BadValue,
                        goal.span,
                        format!(
                            "the batch {} does not go beyond the one before it, {}",
                            goal.value, last.value
                        ),
                    )
                    .because("a batch says how many targets are done when it ends")
                    .hint(format!("the numbers and shares must grow: {EXAMPLE}")),
            );
        }
        goals.push(goal);
    }
    Some(Spanned::new(goals, item.span)).filter(|goals| !goals.is_empty())
}

pub(crate) fn limits(reader: &Reader, item: &Item<'_>, what: &'static str) -> LimitsTable {
    let Some(table) = reader.table(item, what) else { return LimitsTable::default() };
    let limits = LimitsTable {
        memory: table
            .take("memory")
            .and_then(|item| reader.parsed(&item, "a size in quotes, as in `\"256MiB\"`")),
        fuel: table.take("fuel").and_then(|item| reader.number(&item, 1, i64::MAX as u64)),
        time: table.take("time").and_then(|item| some_time(reader, &item)),
        log: table.take("log").and_then(|item| reader.parsed(&item, "a size in quotes, as in `\"256MiB\"`")),
        table_elements: table.take("table-elements").and_then(|item| reader.number(&item, 1, 10_000_000)),
        instances: table.take("instances").and_then(|item| reader.number(&item, 1, 10_000)),
    };
    table.finish(reader, &[]);
    limits
}

/// A time that is not zero.
fn some_time(reader: &Reader, item: &Item<'_>) -> Option<Spanned<Period>> {
    let time: Spanned<Period> = reader.parsed(item, "a time in quotes, as in `\"30s\"`")?;
    if time.as_millis() == 0 {
        let message = format!("`{}` must be longer than nothing", item.name);
        let hint = format!("write `{} = \"30s\"`, or leave it out", item.name);
        reader.push(reader.problem(Code::BadValue, item.span, message).hint(hint));
        return None;
    }
    Some(time)
}

/// The cluster is a use of a module like a step, but for what the engine decides: when and for whom.
fn cluster(reader: &Reader, item: &Item<'_>, gaps: &mut Gaps) -> Option<Step> {
    let cluster = reader.table(item, "`[cluster]`").and_then(|table| {
        if !table.has("on") {
            let problem = reader.problem(Code::Missing, table.span, "`[cluster]` needs `on`");
            let hint = "write `on = \"lb\"`: the role or the target that is asked";
            reader.push(problem.because("the module must know where to ask").hint(hint));
        }
        let id = Spanned::new(StepId::cluster(), table.span);
        a_use(reader, &table, Some(id), true, gaps)
    });
    gaps.cluster = cluster.is_none();
    cluster
}

fn step(reader: &Reader, table: &Table<'_>, gaps: &mut Gaps) -> Option<Step> {
    let id = table
        .require(reader, "id", "\"switch\"")
        .and_then(|item| reader.parsed::<StepId>(&item, "the id of a step"));
    let id = id.filter(|id| is_free(reader, id));
    a_use(reader, table, id, false, gaps)
}

/// A use of a module.
fn a_use(
    reader: &Reader,
    table: &Table<'_>,
    id: Option<Spanned<StepId>>,
    is_cluster: bool,
    gaps: &mut Gaps,
) -> Option<Step> {
    let example = if is_cluster { "\"std/haproxy\"" } else { "\"std/switch\"" };
    // When the cluster is asked, and how often, is the runner's to decide.
    let of_step = |key| if is_cluster { None } else { table.take(key) };
    let uses = table.require(reader, "uses", example).and_then(|item| reader.line(&item));
    let before = reader.count();
    let with = table.take("with").map(|item| with(reader, &item)).unwrap_or_default();
    let with_has_gaps = reader.count() > before;
    let timeout = table.take("timeout").and_then(|item| some_time(reader, &item));
    let limits = table.take("limits").map(|item| limits(reader, &item, "`limits`")).unwrap_or_default();
    if let (Some(time), Some(timeout)) = (&limits.time, &timeout) {
        reader.push(
            reader
                .problem(Code::Conflict, time.span, "both `timeout` and `limits.time` are given")
                .because("they are the same")
                .also(timeout.span, "this is the other one")
                .hint("keep `timeout`"),
        );
    }
    let before = reader.count();
    let on = table.take("on").and_then(|item| reader.line(&item));
    let once = of_step("once").and_then(|item| reader.boolean(&item));
    let place_has_gaps = reader.count() > before;
    let retry = of_step("retry").and_then(|item| retry(reader, &item));
    let acts_as = table.take("become").and_then(|item| reader.parsed(&item, "the name of a user in quotes"));
    let allow = table.take("allow").and_then(|item| allow(reader, &item));
    let before = reader.count();
    let secrets = table.take("secrets").map(|item| read_secrets::given(reader, &item)).unwrap_or_default();
    let secrets_have_gaps = reader.count() > before;
    let no_return = of_step("no-return").and_then(|item| reader.boolean(&item));
    let after_undo = of_step("after-undo").and_then(|item| reader.boolean(&item));
    table.finish(reader, &[]);
    let misspelled = table.misspelled();
    match (&id, &uses) {
        (None, _) => gaps.steps.add_all(),
        (Some(id), None) => gaps.steps.add(id.as_str()),
        (Some(id), Some(_)) => {
            if with_has_gaps || misspelled.contains(&"with") {
                gaps.parameters.insert(id.value.clone());
            }
            if secrets_have_gaps || misspelled.contains(&"secrets") {
                gaps.given_secrets.insert(id.value.clone());
            }
            if place_has_gaps || misspelled.iter().any(|key| ["on", "once"].contains(key)) {
                gaps.places.insert(id.value.clone());
            }
        }
    }
    Some(Step {
        id: id?,
        uses: uses?,
        with,
        on,
        once,
        timeout,
        retry,
        acts_as,
        secrets,
        allow,
        no_return,
        after_undo,
        limits,
        span: table.span,
    })
}

fn is_table(item: &Item<'_>) -> bool {
    matches!(item.value, DeValue::Table(_))
}

/// A step called like a scope could not be referred to.
fn is_free(reader: &Reader, id: &Spanned<StepId>) -> bool {
    let is_cluster = id.value == StepId::cluster();
    let taken = is_cluster || SCOPES.contains(&id.as_str());
    if taken {
        let why = match is_cluster {
            true => "`[cluster]` is called that in the lock and the journal".to_owned(),
            false => format!("`${{{}…}}` refers to something else", id.value),
        };
        reader.push(
            reader
                .problem(Code::BadValue, id.span, format!("a step cannot be called `{}`", id.value))
                .because(why)
                .hint("give the step another id"),
        );
    }
    !taken
}

fn unique_ids(reader: &Reader, phases: &[Vec<Step>]) {
    let mut seen: HashMap<&StepId, Span> = HashMap::new();
    for step in phases.iter().flatten() {
        if let Some(first) = seen.insert(&step.id.value, step.id.span) {
            reader.push(
                reader
                    .problem(
                        Code::Duplicate,
                        step.id.span,
                        format!("two steps have the id `{}`", step.id.value),
                    )
                    .also(first, "the first one")
                    .hint("give each step an id of its own: references and the journal need it"),
            );
        }
    }
}

fn retry(reader: &Reader, item: &Item<'_>) -> Option<Spanned<RetryTable>> {
    let table = reader.table(item, "`retry`")?;
    let times = table.require(reader, "times", "3").and_then(|item| reader.number(&item, 1, 100));
    let delay =
        table.take("delay").and_then(|item| reader.parsed(&item, "a time in quotes, as in `\"30s\"`"));
    table.finish(reader, &[]);
    Some(Spanned::new(RetryTable { times: times?, delay }, item.span))
}

pub(crate) fn allow(reader: &Reader, item: &Item<'_>) -> Option<Spanned<AllowTable>> {
    let table = reader.table(item, "`allow`")?;
    let grants = |key| {
        let elements = table.take(key).and_then(|item| reader.array(&item, "a list of grants"));
        elements.unwrap_or_default().iter().filter_map(|element| reader.line(element)).collect()
    };
    let allow = AllowTable {
        ssh: grants("ssh"),
        files: grants("files"),
        http: grants("http"),
        secrets: grants("secrets"),
    };
    table.finish(reader, &[]);
    Some(Spanned::new(allow, item.span))
}

pub(crate) fn with(reader: &Reader, item: &Item<'_>) -> With {
    let mut with = With::default();
    if matches!(item.value, DeValue::Table(_)) {
        with.value = values(reader, item, "", &mut with).unwrap_or(with.value);
    } else {
        reader.wrong_type(item, "a table");
    }
    with
}

/// A value with references in its strings. Of what is wrong in it all is reported, and it is left out.
fn values(reader: &Reader, item: &Item<'_>, pointer: &str, with: &mut With) -> Option<ValueTemplate> {
    with.places.insert(pointer.to_owned(), item.span);
    match item.value {
        DeValue::String(_) => template(reader, item).map(|template| ValueTemplate::Text(template.value)),
        DeValue::Array(_) => {
            let elements = reader.array(item, "an array")?;
            let values: Vec<_> = elements
                .iter()
                .enumerate()
                .map(|(index, element)| values(reader, element, &format!("{pointer}/{index}"), with))
                .collect();
            Some(ValueTemplate::Array(values.into_iter().flatten().collect()))
        }
        DeValue::Table(_) => {
            let mut found = BTreeMap::new();
            for entry in reader.entries(item) {
                let pointer = below(pointer, entry.name);
                with.keys.insert(pointer.clone(), entry.key);
                let value = values(reader, &entry, &pointer, with);
                found.extend(value.map(|value| (entry.name.to_owned(), value)));
            }
            Some(ValueTemplate::Object(found))
        }
        _ => reader.json(item).map(ValueTemplate::literal),
    }
}

/// The JSON pointer of a key's value.
pub(crate) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A string with references in it.
fn template(reader: &Reader, item: &Item<'_>) -> Option<Spanned<Template>> {
    let text = reader.text(item, "a string")?;
    match Template::parse(text) {
        Ok(template) => Some(Spanned::new(template, item.span)),
        Err(error) => {
            let wrong = text.get(error.offset..error.offset + error.length).unwrap_or_default();
            let span = part_of(&reader.source, item.span, text, error.offset, wrong);
            reader.push(
                Problem::at(Code::BadReference, &reader.source, span, error.to_string()).hint(error.hint()),
            );
            None
        }
    }
}

/// Where `part`, which begins at `offset` of the string `text`, is in the source. The string may have been written
/// with escapes: then, and only then, the answer is the whole string.
pub(crate) fn part_of(source: &Source, span: Span, text: &str, offset: usize, part: &str) -> Span {
    let written = source.text().get(span.start..span.end).unwrap_or_default();
    let earlier = text.get(..offset).map_or(0, |before| before.matches(part).count());
    match written.match_indices(part).nth(earlier) {
        Some((at, _)) if !part.is_empty() => span.part(at, part.len()),
        _ => span,
    }
}
