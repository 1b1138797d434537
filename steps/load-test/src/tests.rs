use super::*;
use runner_sdk::testing::{Answer, World};
use serde_json::{Value, json};

const URL: &str = "http://127.0.0.1:8080/";

/// As ApacheBench 2.3 prints it; `{…}` are filled in.
const PRINTED: &str = "This is ApacheBench, Version 2.3 <$Revision: 1903618 $>

Concurrency Level:      4
Time taken for tests:   0.044 seconds
Complete requests:      20
Failed requests:        {failed}
{others}Total transferred:      10400 bytes
Requests per second:    449.71 [#/sec] (mean)
Time per request:       8.895 [ms] (mean)

Percentage of the requests served within a certain time (ms)
  50%      8
  66%      8
  95%     12
  99%     14
 100%     31 (longest request)
";

fn printed(failed: &str, others: &str) -> String {
    PRINTED.replace("{failed}", failed).replace("{others}", others)
}

fn run(answer: Answer, more: Value) -> (World, Result<Value>) {
    let world = World::new();
    let argv = ["ab", "-q", "-l", "-r", "-s", "30", "-n", "20", "-c", "4", URL];
    world.target("web-1").answer(&argv, answer);
    let mut with = json!({ "url": URL, "requests": 20, "concurrency": 4 });
    for (name, value) in more.as_object().expect("a table") {
        with[name] = value.clone();
    }
    let answer = world.run::<LoadTest>(with);
    (world, answer)
}

#[test]
fn what_was_measured_is_given_out() {
    let limits = json!({ "p95": "12ms", "min-rate": 449.0 });
    let (world, answer) = run(Answer::ok(&printed("0", "")), limits);
    let mut outputs = answer.expect("passes");
    let report = outputs.as_object_mut().expect("a table").remove("report");
    assert!(report.and_then(|digest| Some(digest.as_str()?.starts_with("sha256:"))).expect("a digest"));
    assert_eq!(
        outputs,
        json!({ "completed": 20, "failed": 0, "rate": 449.71, "p50": 8, "p95": 12, "p99": 14, "slowest": 31 })
    );
    assert!(world.effects().is_empty());
}

#[test]
fn each_limit_is_kept() {
    for (text, with, why) in [
        (printed("3", ""), json!({ "max-failed": 2 }), "3 of 20 requests failed, and 2 may"),
        (printed("0", "Non-2xx responses:      20\n"), json!({}), "20 of 20 requests failed, and 0 may"),
        // Counted twice.
        (printed("30", ""), json!({}), "20 of 20 requests failed"),
        (
            printed("0", ""),
            json!({ "p95": "11ms" }),
            "95 % of the answers took up to 12 ms, and may take 11ms",
        ),
        (printed("0", ""), json!({ "min-rate": 450 }), "449.71 answers a second, and 450 must be"),
    ] {
        let error = run(Answer::ok(&text), with).1.expect_err(why);
        assert!(error.message.starts_with(&format!("`{URL}` from `web-1`: {why}")), "{}", error.message);
        assert!(error.detail.contains("longest request"));
    }
    let (_, answer) = run(Answer::ok(&printed("2", "")), json!({ "max-failed": 2 }));
    assert_eq!(answer.expect("two may")["failed"], 2);
}

#[test]
fn what_is_no_report_is_no_success() {
    for text in ["", "Complete requests: x", "Complete requests: 20\nFailed requests: 0\n"] {
        let error = run(Answer::ok(text), json!({})).1.expect_err(text);
        assert!(error.message.starts_with("`ab` did not print `"), "{}", error.message);
    }
    let error = run(Answer::error(Error::not_found("no program ab")), json!({})).1.expect_err("no ab");
    assert_eq!(
        (error.message.as_str(), error.detail.as_str()),
        ("no program ab (on `web-1`)", "install `apache2-utils` there")
    );
}

#[test]
fn there_are_not_more_at_a_time_than_there_are() {
    let error = run(Answer::ok(""), json!({ "concurrency": 21 })).1.expect_err("too many");
    assert_eq!(error.message, "`concurrency` is 21, more than the 20 `requests`");
}
