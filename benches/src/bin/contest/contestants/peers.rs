//! Supervisors with one program and one file of definitions, or a file for each.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use anyhow::Result;

use super::{Field, show, words};
use crate::plan::{Begin, Change, End, Plan, Root};
use crate::stage::Stage;

/// After its manual, dinit-service(5).
pub(super) fn dinit(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let dir = stage.dir().join("dinit.d");
    let wanted = dir.join("boot.d");
    fs::create_dir_all(&wanted)?;
    let define = |name: &str| {
        format!(
            "type = process\ncommand = {}\nrestart = true\nrestart-delay = 0\nrestart-limit-count = 0\n",
            stage.child(name).join(" ")
        )
    };
    for n in 0..count {
        let name = format!("p{n}");
        fs::write(dir.join(&name), define(&name))?;
        symlink(format!("../{name}"), wanted.join(&name))?;
    }
    fs::write(dir.join("boot"), "type = internal\nwaits-for.d = boot.d\n")?;
    let socket = show(&stage.dir().join("dinit.sock"));
    let mut plan = Plan::cold(words(["dinit", "--quiet", "-d", &show(&dir), "-p", &socket]));
    plan.list = Some(words(["dinitctl", "-p", &socket, "list"]));
    plan.status = Some(words(["dinitctl", "-p", &socket, "status", "p0"]));
    let both = format!("dinitctl -p {socket} reload p0 && dinitctl -p {socket} restart p0");
    plan.change =
        Some(Change { files: vec![(dir.join("p0"), define("changed"))], run: words(["sh", "-c", &both]) });
    Ok(plan)
}

pub(super) fn horust(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let dir = stage.dir().join("services");
    fs::create_dir(&dir)?;
    for n in 0..count {
        let name = format!("p{n}");
        let text = format!(
            "command = \"{}\"\n[restart]\nstrategy = \"always\"\nbackoff = \"0s\"\nattempts = 0\n",
            stage.child(&name).join(" ")
        );
        fs::write(dir.join(format!("{name}.toml")), text)?;
    }
    let mut plan = Plan::cold(words(["horust", "--services-path", &show(&dir)]));
    plan.env.push(("HORUST_LOG".to_owned(), "error".to_owned()));
    Ok(plan)
}

pub(super) fn supervisord(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let dir = show(stage.dir());
    let define = |first: &str| -> Result<String> {
        let mut text = format!(
            "[supervisord]\nnodaemon=true\nlogfile={dir}/supervisord.log\npidfile={dir}/pid\nchildlogdir={dir}\nuser=root\n\
             minfds=16384\n[unix_http_server]\nfile={dir}/s\n[supervisorctl]\nserverurl=unix://{dir}/s\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        );
        for n in 0..count {
            let name = format!("p{n}");
            let child = stage.child(if n == 0 { first } else { &name }).join(" ");
            // Its usual way to keep output: files that it rotates.
            writeln!(
                text,
                "[program:{name}]\ncommand={child}\nautorestart=true\nstartsecs=0\nstartretries=1000000"
            )?;
        }
        Ok(text)
    };
    let config = stage.dir().join("supervisord.conf");
    fs::write(&config, define("p0")?)?;
    let (path, changed) = (show(&config), define("changed")?);
    let ctl = |verbs: &[&str]| -> Vec<String> {
        ["supervisorctl", "-c", &path].iter().chain(verbs).map(|&word| word.to_owned()).collect()
    };
    let mut plan = Plan::cold(words(["supervisord", "-c", &path]));
    plan.ready = Some(ctl(&["status"]));
    plan.list = Some(ctl(&["status"]));
    plan.status = Some(ctl(&["status", "p0"]));
    plan.change = Some(Change { files: vec![(config, changed)], run: ctl(&["update"]) });
    Ok(plan)
}

pub(super) fn circus(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let dir = show(stage.dir());
    let define = |first: &str| -> Result<String> {
        let mut text = format!(
            "[circus]\nendpoint = ipc://{dir}/e\npubsub_endpoint = ipc://{dir}/q\nloglevel = error\n"
        );
        for n in 0..count {
            let name = format!("p{n}");
            let child = stage.child(if n == 0 { first } else { &name });
            let (program, args) =
                child.split_first().map(|(p, a)| (p.clone(), a.join(" "))).unwrap_or_default();
            writeln!(
                text,
                "[watcher:{name}]\ncmd = {program}\nargs = {args}\nwarmup_delay = 0\nmax_retry = -1"
            )?;
        }
        Ok(text)
    };
    let config = stage.dir().join("circus.ini");
    fs::write(&config, define("p0")?)?;
    let endpoint = format!("ipc://{dir}/e");
    let ctl = |verb: &[&str]| -> Vec<String> {
        let first = ["circusctl", "--timeout", "60", "--endpoint", &endpoint];
        first.iter().chain(verb).map(|&word| word.to_owned()).collect()
    };
    let mut plan = Plan::cold(words(["circusd", &show(&config)]));
    plan.ready = Some(ctl(&["status", "p0"]));
    plan.list = Some(ctl(&["status"]));
    plan.status = Some(ctl(&["status", "p0"]));
    plan.change = Some(Change { files: vec![(config, define("changed")?)], run: ctl(&["reloadconfig"]) });
    Ok(plan)
}

pub(super) fn pm2(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let home = stage.dir().join("pm2");
    let mut apps = Vec::new();
    for n in 0..count {
        let name = format!("p{n}");
        let child = stage.child(&name);
        let (program, args) = child.split_first().map(|(p, a)| (p.clone(), a.to_vec())).unwrap_or_default();
        apps.push(serde_json::json!({
            "name": name, "script": program, "args": args, "interpreter": "none", "exec_mode": "fork",
            "max_restarts": 1_000_000, "min_uptime": 0, "restart_delay": 0,
        }));
    }
    let file = stage.dir().join("ecosystem.json");
    fs::write(&file, serde_json::json!({ "apps": apps }).to_string())?;
    let mut plan = Plan::cold(Vec::new());
    plan.supervisor = None;
    plan.env.push(("PM2_HOME".to_owned(), show(&home)));
    // It starts its daemon by itself.
    plan.ready = Some(words(["pm2", "ping"]));
    plan.begin = Begin::Run(words(["pm2", "start", &show(&file)]));
    plan.end = End::Run(words(["pm2", "delete", "all"]));
    plan.root = Root::File(home.join("pm2.pid"));
    plan.list = Some(words(["pm2", "list"]));
    plan.status = Some(words(["pm2", "describe", "p0"]));
    plan.cleanup = Some(words(["pm2", "kill"]));
    Ok(plan)
}
