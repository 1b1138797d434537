//! Through the cluster and back: no request is lost on the way.

use crate::balancer::Balancer;
use crate::support::Project;
use runner_fleet::{Fleet, fleet_or_skip};

/// Six machines behind a load balancer, with a release that is live on all of them.
fn live<'f>(fleet: &'f Fleet, min_in_service: &str) -> (Project, Balancer<'f>) {
    let project = Project::new(fleet);
    let balancer = Balancer::start(fleet, &project);
    project.edit_plan("[strategy]", &Balancer::cluster());
    let strategy = format!(
        "batches = [1, \"50%\", \"100%\"]\nmin-in-service = {min_in_service}\non-failure = \"rollback\""
    );
    project.edit_plan("batches = [1, \"50%\", \"100%\"]", &strategy);
    project.release();
    balancer.wait_for_all();
    (project, balancer)
}

#[test]
fn a_rolling_release_and_one_that_fails_lose_no_request() {
    let fleet = fleet_or_skip!(Fleet::start(7));
    let (project, balancer) = live(&fleet, "\"66%\"");

    project.next_version("1.0.1");
    project.lock();
    let load = balancer.load();
    let ran = project.exec();
    let served = load.end();
    assert_eq!(ran.code, Some(0), "{ran}");
    println!("rolling release: {served:?}");
    assert_eq!(served.failed, 0, "{served:?}");
    assert!(served.requests > 0 && served.fewest >= 4, "{served:?}");
    for host in &fleet.hosts()[..6] {
        assert_eq!(host.get("/version.txt").unwrap().body, "1.0.1");
    }

    project.next_version("1.0.2");
    fleet.host(3).answer("/version.txt", "broken").unwrap();
    project.edit_plan("deadline = \"10s\"", "deadline = \"1s\"");
    project.lock();
    let load = balancer.load();
    let ran = project.exec();
    let served = load.end();
    assert_eq!(ran.code, Some(6), "{ran}");
    println!("failing release and its rollback: {served:?}");
    assert_eq!(served.failed, 0, "{served:?}");
    assert!(served.requests > 0 && served.fewest >= 4, "{served:?}");
    for host in &fleet.hosts()[..6] {
        assert_eq!(balancer.admin_state(host.name()), "0", "{}", host.name());
    }
    fleet.host(3).fix_service().unwrap();
}
