//! What a process finds in its environment, and when that is read.

use crate::scene::Scene;

#[test]
fn files_of_variables_are_read_again_at_each_start() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [env=A, env=B, env=C, sleep]
    environment_file: [DIR/one, -DIR/two]
    env: {C: definition}
    auto_start: false
",
    );
    let error = scene.pm(&["start", "web"]).failure(1);
    assert!(error.contains("/one") && error.contains("No such file"), "{error}");
    scene.write("one", "A=first\n# comment\nexport B=\"two \\\"words\\\"\"\nC=file\n");
    scene.pm(&["start", "web"]).success();
    let first = "A=first\nB=two \"words\"\nC=definition\n";
    scene.until_prints("web", first);

    scene.write("two", "A=second\n");
    scene.write("one", "A=first\n");
    assert_eq!(scene.pm(&["plan"]).success(), "nothing would change\n", "the definition is as it was");
    scene.pm(&["restart", "web"]).success();
    let both = format!("{first}A=second\nB is not set\nC=definition\n");
    scene.until_prints("web", &both);

    scene.write("one", "A=\"unfinished\n");
    let error = scene.pm(&["restart", "web"]).failure(1);
    assert!(error.contains("/one:1"), "the place of the mistake: {error}");
    assert!(!error.contains("unfinished"), "values of these files are never shown: {error}");
}

#[test]
fn the_environment_is_clean() {
    let scene = Scene::new(
        "  clean: {command: env, type: oneshot, exec_start_post: env}
  marked: {command: PROBE env=PM_TEST_MARKER, type: oneshot, inherit_env: [PM_TEST_MARKER]}
",
    );
    scene.wait_for_state("clean", "exited");
    let printed = scene.until_printed("clean", |printed| printed.lines().count() == 21);
    let (own, hook): (Vec<&str>, Vec<&str>) = {
        let names: Vec<&str> = printed.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let second = names.iter().rposition(|name| *name == "PATH").expect("everything has a PATH");
        let first = names.iter().position(|name| *name == "PATH").expect("everything has a PATH");
        assert_ne!(first, second, "the program's, and its hook's: {printed}");
        let half = names.len() / 2;
        (names[..half].to_vec(), names[half..].to_vec())
    };
    let known = [
        "HOME",
        "LOGNAME",
        "PATH",
        "PROCESS_ID",
        "PROCESS_INVOCATION_ID",
        "PROCESS_MANAGER_ID",
        "PROCESS_NAME",
        "PROCESS_RUN",
        "SHELL",
        "USER",
    ];
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(sorted(own), known.join(" "), "{printed}");
    assert_eq!(sorted(hook).replace("PROCESS_HELPER_ID ", ""), known.join(" "), "{printed}");
    scene.wait_for_state("marked", "exited");
    scene
        .until_printed("marked", |printed| printed.starts_with("PM_TEST_MARKER=") && printed.ends_with('\n'));
}
