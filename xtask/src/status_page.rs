//! `cargo xtask status-page`: the daemon's page in a real Chromium, with a thousand processes and with texts that would
//! like to be markup; with and without JavaScript, narrow, dark.
//!
//! Needs `chromium` (Debian: `apt-get install chromium`), no root and no network but loopback.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{TempDaemon, binary};

use crate::browser::Browser;
use crate::programs::Build;
use crate::prometheus::free_port;
use crate::wait::wait;

/// Stopped ones; the page shows 500 at once.
const MANY: usize = 1_000;
/// A window of an old telephone, and one of a desk.
const NARROW: [u32; 2] = [360, 740];
const WIDE: [u32; 2] = [1400, 900];
/// Beside the many: some that live, and texts that would like to be markup.
const FEW: &str = r#"
  steady: {command: PROBE every=100ms print, description: "prints all day"}
  hostile: {command: PROBE "notify=STATUS=<b onclick=own()>said</b>" notify=READY=1 sleep, type: notify, description: "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202Egnp"}
  failed: {command: PROBE exit=3, restart: never}
  backoff: {command: PROBE exit=3, restart_sec: 1h, restart_max_delay_sec: 1h}
  sick: {command: PROBE sleep, health_check: {type: exec, command: PROBE exit=1, interval: 1, retries: 1, start_period: 0}}
"#;

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    build: Build,
    /// Put pictures of what was seen into this directory
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

/// One look at the page.
type Check = fn(&mut Visit) -> Result<()>;

/// A browser in front of a daemon.
#[derive(Debug)]
struct Visit {
    daemon: TempDaemon,
    browser: Browser,
    url: String,
    pictures: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    args.build.run()?;
    if let Some(dir) = &args.pictures {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let probe = binary("probe")?.display().to_string();
    let port = free_port()?;
    let mut config = format!("processes:{}", FEW.replace("PROBE", &probe));
    for number in 0..MANY {
        writeln!(config, "  many-{number:04}: {{command: sleep 1h, auto_start: false}}")?;
    }
    let daemon = TempDaemon::builder().config(&config).env("METRICS_PORT", port.to_string()).start();
    daemon.wait_for_state("hostile", "running");
    daemon.wait_for_state("failed", "failed");
    daemon.wait_for_state("backoff", "backoff");
    daemon.wait_for("sick", "be unhealthy", |p| p["health"]["state"] == "unhealthy");
    let url = format!("http://127.0.0.1:{port}/");
    let mut visit = Visit { daemon, browser: Browser::start()?, url, pictures: args.pictures.clone() };
    let checks: [(&str, Check); 6] = [
        ("what belongs on the page is there, and nothing from elsewhere", Visit::whole),
        ("texts stay texts", Visit::texts),
        ("the page refreshes itself", Visit::refreshes),
        ("pages and filters", Visit::pages),
        ("a narrow window", Visit::narrow),
        ("light, dark, and without JavaScript", Visit::plain),
    ];
    for (what, check) in checks {
        check(&mut visit).with_context(|| what.to_owned())?;
        say(&format!("ok    {what}"));
    }
    Ok(ExitCode::SUCCESS)
}

impl Visit {
    fn window(&mut self, [width, height]: [u32; 2]) -> Result<()> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.browser.call("Emulation.setDeviceMetricsOverride", &size)?;
        Ok(())
    }

    fn picture(&mut self, name: &str) -> Result<()> {
        match &self.pictures {
            Some(dir) => self.browser.picture(&dir.join(format!("{name}.png"))),
            None => Ok(()),
        }
    }

    fn visit(&mut self, query: &str) -> Result<()> {
        self.browser.visit(&format!("{}{query}", self.url))
    }

    /// The expression has this value on the page.
    fn expect(&mut self, expression: &str, value: impl Into<Value>) -> Result<()> {
        let (is, value) = (self.browser.eval(expression)?, value.into());
        ensure!(is == value, "{expression} is {is}, not {value}");
        Ok(())
    }

    fn whole(&mut self) -> Result<()> {
        self.window(WIDE)?;
        self.visit("")?;
        self.picture("wide")?;
        self.expect("document.title", "dd-procmgrd")?;
        self.expect("document.querySelectorAll('tbody tr').length", 500)?;
        // What is wrong comes first.
        self.expect(
            "[...document.querySelectorAll('tbody th')].slice(0, 3).map(h => h.firstChild.data).join(' ')",
            "backoff failed sick",
        )?;
        let foreign: Vec<_> =
            self.browser.requests().into_iter().filter(|at| !at.starts_with(&self.url)).collect();
        ensure!(foreign.is_empty(), "asked elsewhere: {foreign:?}");
        let complaints = self.browser.complaints();
        ensure!(complaints.is_empty(), "{complaints:#?}");
        for (link, text) in [("/metrics", "ddprocmgr_"), ("/healthz", "ok"), ("/readyz", "")] {
            self.expect(&format!("document.querySelector('nav a[href=\"{link}\"]') !== null"), true)?;
            let fetched = format!(
                "(() => {{ const r = new XMLHttpRequest(); r.open('GET', '{link}', false); r.send(); return r.responseText.includes('{text}'); }})()"
            );
            self.expect(&fetched, true)?;
        }
        Ok(())
    }

    fn texts(&mut self) -> Result<()> {
        let row =
            "[...document.querySelectorAll('tbody tr')].find(r => r.cells[0].firstChild.data === 'hostile')";
        self.expect("document.title", "dd-procmgrd")?;
        self.expect(
            "document.querySelectorAll('main script, main img, main [onclick], main iframe').length",
            0,
        )?;
        self.expect(&format!("{row}.cells[0].textContent.includes('<script>document.title=')"), true)?;
        self.expect(&format!("{row}.cells[0].textContent.includes('\\u202e')"), false)?;
        self.expect(&format!("{row}.textContent.includes('<b onclick=own()>said</b>')"), true)?;
        // The policy holds even for markup that gets in: nothing inline runs.
        self.browser.eval(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">'); \
             const s = document.createElement('script'); s.text = 'document.title = 2'; document.body.append(s)",
        )?;
        self.expect("document.title", "dd-procmgrd")
    }

    /// A change is seen without a new page.
    fn refreshes(&mut self) -> Result<()> {
        self.visit("?state=running")?;
        self.browser.eval("window.same = true")?;
        self.daemon.pm(&["start", "many-0000"]).success();
        let seen = "document.querySelector('main').textContent.includes('many-0000')";
        wait("the new process to be on the page", || Ok((self.browser.eval(seen)? == true).then_some(())))?;
        self.expect("window.same", true)?;
        self.picture("running")?;
        self.daemon.pm(&["stop", "many-0000"]).success();
        wait("it to leave the page", || Ok((self.browser.eval(seen)? == false).then_some(())))?;
        self.expect("window.same", true)
    }

    fn pages(&mut self) -> Result<()> {
        self.visit("?state=stopped")?;
        self.expect("document.querySelectorAll('tbody tr').length", 500)?;
        self.expect(
            "document.querySelector('.states [aria-current]').textContent",
            format!("stopped {MANY}"),
        )?;
        self.expect("document.querySelector('.pages').textContent.trim()", "1 to 500 of 1000 next")?;
        let next = self.browser.eval("document.querySelector('.pages a').getAttribute('href')")?;
        self.visit(next.as_str().unwrap_or_default().trim_start_matches('/'))?;
        self.expect("document.querySelector('tbody th').textContent", "many-0500")?;
        self.expect("document.querySelector('.pages').textContent.trim()", "501 to 1000 of 1000 previous")
    }

    /// Nothing sticks out to the side, and what a column is about stands beside its value.
    fn narrow(&mut self) -> Result<()> {
        self.window(NARROW)?;
        self.visit("")?;
        self.picture("narrow")?;
        self.expect("document.documentElement.scrollWidth <= innerWidth", true)?;
        self.expect("document.querySelector('tbody td').getBoundingClientRect().width <= innerWidth", true)?;
        self.window(WIDE)
    }

    fn plain(&mut self) -> Result<()> {
        // The sum of red, green and blue of the text.
        let ink = "getComputedStyle(document.body).color.match(/[0-9]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b)";
        for (scheme, dark) in [("light", false), ("dark", true)] {
            let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            self.browser.call("Emulation.setEmulatedMedia", &feature)?;
            self.visit("")?;
            self.expect(&format!("{ink} > 384"), dark)?;
            self.picture(scheme)?;
        }
        self.browser.call("Emulation.setScriptExecutionDisabled", &json!({"value": true}))?;
        self.visit("")?;
        self.expect("document.querySelectorAll('tbody tr').length", 500)?;
        self.expect("document.querySelector('noscript meta[http-equiv=refresh]').content", "10")?;
        self.picture("no-script")
    }
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}
