//! `runner init`: what it writes is accepted and goes live, and what is missing or wrong is said.

use super::{Project, same};

/// A folder with an application and nothing else.
fn application() -> Project {
    let project = Project(tempfile::tempdir().expect("a folder"));
    std::fs::create_dir(project.0.path().join("app")).expect("a folder");
    project.write("app/index.html", "<h1>Hello</h1>\n");
    project
}

#[test]
fn init_writes_what_check_and_lock_accept() {
    const ALL: [&str; 7] = [
        "--app=app",
        "--hosts=web-1.example.org,web-2.example.org:2222",
        "--user=deploy",
        "--root=/srv/shop",
        "--service=php-fpm",
        "--health-url=https://shop.example.org/health",
        "--name=shop",
    ];
    let project = application();
    let init = |with: &[&str]| project.run(&[&["init"], with].concat());
    same("init", &init(&ALL));
    same("init-plan", &project.read("plan.toml"));
    same("init-inventory", &project.read("production.toml"));
    same("init-again", &init(&ALL));
    for command in ["lock", "check"] {
        let said = project.run(&[command]);
        assert!(said.starts_with("exit code 0\n") && !said.contains("warning"), "{said}");
    }
    // Everything that can be answered otherwise.
    for (number, other) in [
        &["--app=.", "--hosts=localhost", "--user=", "--service=", "--health-url="][..],
        &["--service=/usr/bin/sudo -n '/opt/two words/ctl' restart", "--environment=staging"],
        &[
            "--user=root",
            "--root=/srv/a b",
            "--hosts=10.0.0.1 2001:db8::1 web:1,web:2",
            "--health-url=http://localhost/",
        ],
        &["--health-url=http://127.0.0.1:8080/", "--service=app@1.service"],
        &["--health-url=http://${target.address}:8080/x?a=%22"],
    ]
    .iter()
    .enumerate()
    {
        let folder = format!("my {number}");
        std::fs::create_dir_all(project.0.path().join(&folder).join("app")).expect("a folder");
        let kept = ALL.iter().filter(|option| {
            let flag = option.split('=').next().unwrap_or_default();
            !other.iter().any(|given| given.split('=').next() == Some(flag))
        });
        let options: Vec<&str> =
            [&folder[..]].into_iter().chain(kept.copied()).chain(other.iter().copied()).collect();
        let said = init(&options);
        assert!(said.starts_with("exit code 0\n"), "{other:?}: {said}");
        let plan = format!("{folder}/plan.toml");
        for command in ["lock", "check"] {
            let said = project.run(&[command, &plan]);
            assert!(
                said.starts_with("exit code 0\n") && !said.contains("warning"),
                "{other:?}: {said}\n{}",
                project.read(&plan)
            );
        }
    }
}

#[test]
fn init_says_which_answer_is_missing_or_wrong_and_overwrites_nothing() {
    let project = application();
    same("init-without-answers", &project.run(&["init"]));
    same("init-without-some", &project.run(&["init", "--app=app", "--user=", "--service=", "--health-url="]));
    let wrong = |option: &str| {
        project.run(&[
            "init",
            "--app=app",
            "--hosts=web",
            "--user=",
            "--root=/srv/x",
            "--service=",
            "--health-url=",
            option,
        ])
    };
    for (number, option) in [
        "--app=none",
        "--app=../app",
        "--hosts=user@web",
        "--user=a b",
        "--root=srv",
        "--service=php fpm",
        "--health-url=/health",
        "--name=a b",
        "--environment=plan",
    ]
    .iter()
    .enumerate()
    {
        let flag = option.split('=').next().unwrap_or_default();
        let said = match flag {
            "--name" | "--environment" => wrong(option),
            _ => {
                let mut options = vec!["init", "--app=app", "--hosts=web", "--user=", "--root=/srv/x"];
                options.extend(["--service=", "--health-url="]);
                options.retain(|given| given.split('=').next() != Some(flag));
                options.push(option);
                project.run(&options)
            }
        };
        same(&format!("init-wrong-{}{flag}", number + 1), &said);
    }
    let said = project.run(&[
        "init",
        "--app=app",
        "--hosts=::1",
        "--user=",
        "--root=/srv/x",
        "--service=",
        "--health-url=http://a/",
    ]);
    same("init-health-of-an-ipv6-address", &said);
    project.write("production.toml", "mine");
    same("init-inventory-is-there", &wrong("--name=x"));
    assert_eq!(project.read("production.toml"), "mine");
    assert!(!project.0.path().join("plan.toml").exists());
}

#[test]
fn what_init_writes_takes_a_release_live() {
    let project = application();
    let root = project.0.path().join("srv");
    std::fs::create_dir(&root).expect("a folder");
    let root = root.canonicalize().expect("a path").display().to_string();
    let said = project.run(&[
        "init",
        "--app=app",
        "--hosts=localhost",
        "--user=",
        &format!("--root={root}"),
        "--service=/bin/true --restarted",
        "--health-url=",
        "--name=site",
    ]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    for command in ["lock", "exec"] {
        let said = project.run(&[command]);
        assert!(said.starts_with("exit code 0\n"), "{said}");
    }
    assert_eq!(project.read("srv/current/index.html"), "<h1>Hello</h1>\n");
}
