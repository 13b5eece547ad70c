//! Secrets in definitions and in files of variables: in nothing that the daemon shows, logs or exports.

use std::fs;

use anyhow::{Result, ensure};

use super::Size;
use super::bed::Bed;
use super::report::Report;
use crate::prometheus::get;

const SECRET: &str = "hunter2-is-secret";

pub(crate) fn run(_size: &Size) -> Result<Report> {
    let files = tempfile::Builder::new().prefix("pm-secrets-").tempdir()?;
    let variables = files.path().join("variables");
    fs::write(&variables, format!("PLAIN={SECRET}\nOTHER_TOKEN={SECRET}\n"))?;
    let bed = Bed::start(&format!(
        "  web: {{command: PROBE sleep, env: {{API_KEY: {SECRET}, DB_PASSWORD: {SECRET}}}, environment_file: {}}}\n  \
         failing: {{command: /nonexistent/program, env: {{AUTH_TOKEN: {SECRET}}}, restart: never}}\n",
        variables.display()
    ))?;
    bed.wait_for_state("web", "running");
    ensure!(
        bed.pm(&["create", "made", "--env", &format!("MY_SECRET={SECRET}"), "--", "/bin/sleep", "1000"]).code
            == 0,
        "create was refused"
    );
    let mut shown = 0;
    let good = fs::read_to_string(bed.config_path())?;
    bed.write_config(&format!(
        "{good}  broken: {{command: PROBE, env: {{API_KEY: {SECRET}, API_KEY: {SECRET}}}, no_such_key: 1}}\n"
    ));
    let answer = bed.pm(&["reload-config"]);
    ensure!(
        !answer.stdout.contains(SECRET) && !answer.stderr.contains(SECRET),
        "shown by {}",
        answer.command
    );
    for name in ["web", "broken", "failing", "made"] {
        for words in
            [&["describe", name][..], &["cat", name], &["why", name], &["events", name], &["list", name]]
        {
            for output in ["text", "json"] {
                let mut all = vec!["--output", output];
                all.extend(words);
                if output == "text" {
                    all.drain(..2);
                }
                let answer = bed.pm(&all);
                ensure!(
                    !answer.stdout.contains(SECRET) && !answer.stderr.contains(SECRET),
                    "shown by {}",
                    answer.command
                );
                shown += 1;
            }
        }
    }
    for words in [&["plan"][..], &["reload-config"], &["status"], &["graph"], &["stats"]] {
        let answer = bed.pm(words);
        ensure!(
            !answer.stdout.contains(SECRET) && !answer.stderr.contains(SECRET),
            "shown by {}",
            answer.command
        );
        shown += 1;
    }
    for path in ["/metrics", "/", "/readyz"] {
        let (_, body) = get(bed.metrics()?, path)?;
        ensure!(!body.contains(SECRET), "shown by {path}");
        shown += 1;
    }
    ensure!(!bed.log().contains(SECRET), "in the daemon's own log");
    bed.end()?;
    Ok(Report::load(format!("{} ways to look at 4 processes with secrets", shown + 1)).and("none showed one"))
}
