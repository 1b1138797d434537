//! What a cluster is: constants that describe it, and three functions.

use crate::step::{Description, parsed};
use crate::types::Standing;
use crate::{Capabilities, Result, Runs};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A cluster: it knows which targets serve requests, and takes one out and puts it back. A plan names it in `[cluster]`.
///
/// [`Target::current`](crate::Target::current) is the balancer, and [`run_info::subject`](crate::run_info::subject) the
/// target that is asked about.
pub trait Cluster {
    /// What a plan writes behind `std/` or the name of a module.
    const NAME: &'static str;
    /// The author's version of it: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// One line: what it does.
    const SUMMARY: &'static str;
    /// More, in Markdown; shown by `runner module inspect`.
    const DOCUMENTATION: &'static str = "";
    /// What it needs. Ask for the least: a plan's author reviews it.
    const CAPABILITIES: Capabilities = Capabilities::NONE;

    /// What the plan gives it, as for a [`Step`](crate::Step).
    type Params: DeserializeOwned + JsonSchema;

    /// How the subject stands, now. It is asked often, and only reads.
    ///
    /// # Errors
    /// Whatever keeps it from knowing.
    fn observe(params: Self::Params) -> Result<Standing>;

    /// Takes the subject out of service, and waits for what goes on to end. Does nothing where it is out.
    ///
    /// # Errors
    /// Whatever keeps it in service: an error leaves the subject as it was.
    fn leave(params: Self::Params) -> Result<()>;

    /// Puts the subject back into service, and waits until it is healthy. Where it is in service, only that.
    ///
    /// # Errors
    /// Whatever keeps it out of service.
    fn join(params: Self::Params) -> Result<()>;
}

/// A cluster gives out nothing.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Nothing {}

/// The manifest of a cluster, as JSON.
pub fn describe_cluster<C: Cluster>() -> String {
    Description {
        name: C::NAME,
        version: C::VERSION,
        summary: C::SUMMARY,
        documentation: C::DOCUMENTATION,
        runs: Runs::EachTarget,
        capabilities: C::CAPABILITIES,
        world: Some("cluster"),
    }
    .manifest::<C::Params, Nothing>()
}

/// Answers how the subject stands, on parameters in JSON, as the exported `observe` does.
///
/// # Errors
/// `invalid` when the parameters do not fit; else what the cluster answers.
pub fn call_observe<C: Cluster>(params: &str) -> Result<Standing> {
    C::observe(parsed(params)?)
}

/// Takes the subject out of service, on parameters in JSON, as the exported `leave` does.
///
/// # Errors
/// As [`call_observe`].
pub fn call_leave<C: Cluster>(params: &str) -> Result<()> {
    C::leave(parsed(params)?)
}

/// Puts the subject back into service, on parameters in JSON, as the exported `join` does.
///
/// # Errors
/// As [`call_observe`].
pub fn call_join<C: Cluster>(params: &str) -> Result<()> {
    C::join(parsed(params)?)
}

/// Makes a component of a cluster: exports `describe`, `observe`, `leave` and `join`. Natively it does nothing, so that
/// `cargo test` runs the same crate.
#[macro_export]
macro_rules! export_cluster {
    ($cluster:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use ::std::result::Result as Answer;
            use ::std::string::String as Json;
            use $crate::bindings::cluster::{Error as Failure, Guest, Standing};

            struct Component;

            impl Guest for Component {
                fn describe() -> Json {
                    $crate::log_panics();
                    $crate::describe_cluster::<$cluster>()
                }

                fn observe(params: Json) -> Answer<Standing, Failure> {
                    $crate::log_panics();
                    let standing = $crate::call_observe::<$cluster>(&params);
                    standing.map(::std::convert::Into::into).map_err(::std::convert::Into::into)
                }

                fn leave(params: Json) -> Answer<(), Failure> {
                    $crate::log_panics();
                    $crate::call_leave::<$cluster>(&params).map_err(::std::convert::Into::into)
                }

                fn join(params: Json) -> Answer<(), Failure> {
                    $crate::log_panics();
                    $crate::call_join::<$cluster>(&params).map_err(::std::convert::Into::into)
                }
            }

    $crate::bindings::cluster::__export_cluster!(Component with_types_in $crate::bindings::cluster);
        };

        // So that the compiler knows that the cluster is used.
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&str) -> $crate::Result<$crate::Standing> = $crate::call_observe::<$cluster>;
    };
}
