//! Sockets of a target in memory: the test says what listens there.

use crate::Result;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// What listens at a socket: it is given what is said, and answers.
#[derive(Clone)]
pub(crate) struct Socket(Rc<RefCell<Listener>>);

type Listener = dyn FnMut(&str) -> Result<String>;

impl Socket {
    pub(crate) fn new(listener: impl FnMut(&str) -> Result<String> + 'static) -> Self {
        Self(Rc::new(RefCell::new(listener)))
    }

    pub(crate) fn ask(&self, text: &str) -> Result<String> {
        (self.0.borrow_mut())(text)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::World;
    use crate::{Capabilities, Cluster, Effect, ErrorKind, Result, Service, Standing, Target, run_info};
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    struct Lb;

    #[derive(Deserialize, JsonSchema)]
    struct Params {
        socket: String,
    }

    impl Params {
        fn says(&self, what: &str, effect: Effect) -> Result<String> {
            let subject = run_info::subject().unwrap_or_default();
            Target::current().exchange(&self.socket, &format!("{what} {subject}\n"), effect)
        }
    }

    impl Cluster for Lb {
        const NAME: &'static str = "lb";
        const VERSION: &'static str = "0.1.0";
        const SUMMARY: &'static str = "speaks to a socket";
        const CAPABILITIES: Capabilities =
            Capabilities { ssh: &["socket-read:${socket}", "socket-leave:${socket}"], ..Capabilities::NONE };
        type Params = Params;

        fn observe(params: Params) -> Result<Standing> {
            let out = params.says("state", Effect::Read)?.contains("out");
            Ok(Standing::of(if out { Service::Out } else { Service::In }))
        }
        fn leave(params: Params) -> Result<()> {
            params.says("leave", Effect::Leave).map(drop)
        }
        fn join(params: Params) -> Result<()> {
            params.says("join", Effect::Join).map(drop)
        }
    }

    #[test]
    fn a_cluster_speaks_of_its_subject_to_the_socket_of_its_balancer() {
        let world = World::new();
        world.current("lb").subject("web-1");
        world.target("lb").socket("/run/lb", |text| Ok(format!("{}: out", text.trim_end())));
        let with = || json!({ "socket": "/run/lb" });
        assert_eq!(world.observe::<Lb>(with()), Ok(Standing::of(Service::Out)));
        assert!(world.effects().is_empty() && world.calls() == ["lb: exchange /run/lb"]);
        world.leave::<Lb>(with()).expect("granted");
        assert_eq!(world.effects(), ["lb: exchange [leave] /run/lb: leave web-1"]);
        let error = world.join::<Lb>(with()).expect_err("not granted");
        assert!(error.is(ErrorKind::Denied) && error.detail.contains("socket-join:/run/lb"), "{error}");
        assert!(world.effects().is_empty());
    }

    #[test]
    fn what_no_host_would_do_the_world_does_not_do() {
        let world = World::new();
        world.target("web-1").socket("/run/flood", |_| Ok("x".repeat((1 << 20) + 1)));
        world.target("web-1").socket("/srv/.runner/s", |_| Ok(String::new()));
        let ask = |path: &str, effect| {
            world.enter(|| Target::current().exchange(path, "x", effect)).expect_err(path).kind
        };
        assert_eq!(ask("/run/flood", Effect::Read), ErrorKind::Invalid);
        assert_eq!(ask("/run/flood", Effect::Change), ErrorKind::Invalid);
        assert_eq!(ask("/run/none", Effect::Read), ErrorKind::NotFound);
        assert_eq!(ask("run/flood", Effect::Read), ErrorKind::Invalid);
        assert_eq!(ask("/srv/.runner/s", Effect::Read), ErrorKind::Denied);
    }
}
