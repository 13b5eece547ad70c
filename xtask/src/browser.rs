//! A real Chromium without a window, by the DevTools protocol over a pair of pipes
//! (<https://chromedevtools.github.io/devtools-protocol/>): messages are JSON, each ends with a NUL.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(60);

/// The browser with one page; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    /// The page's session.
    session: String,
    calls: u64,
    /// What the page told unasked.
    events: Vec<Value>,
    /// Holds its profile for as long as it runs.
    _dir: TempDir,
}

impl Browser {
    /// Starts it with an empty page.
    pub(crate) fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("pm-chromium-").tempdir()?;
        let (input, output) = (dir.path().join("in"), dir.path().join("out"));
        for fifo in [&input, &output] {
            mkfifo(fifo, Mode::S_IRUSR | Mode::S_IWUSR).context("a fifo for chromium")?;
        }
        // Its own sandbox doesn't work as root. It visits nothing but the daemon below test.
        let sandbox = if geteuid().is_root() { "--no-sandbox" } else { "--disable-gpu" };
        let child = Command::new("sh")
            .args(["-c", r#"exec chromium "$@" 3<"$IN" 4>"$OUT""#, "sh", "--headless=new", sandbox])
            .args(["--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .env("IN", &input)
            .env("OUT", &output)
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log"))?)
            .spawn()
            .context("a shell can't be executed")?;
        // In the order in which the shell opens them: each waits for the other end.
        let to = OpenOptions::new().write(true).open(&input)?;
        let from = listen(File::open(&output)?);
        let mut browser =
            Self { child, to, from, session: String::new(), calls: 0, events: Vec::new(), _dir: dir };
        let page = browser
            .call("Target.createTarget", &json!({"url": "about:blank"}))
            .context("chromium can't be executed: apt-get install --no-install-recommends chromium")?;
        let target = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &target)?;
        browser.session = session["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// One call of the protocol.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes())?;
        loop {
            let answer = self.next()?;
            if answer["id"] == self.calls {
                ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return Ok(answer["result"].clone());
            }
        }
    }

    fn next(&mut self) -> Result<Value> {
        let message = self.from.recv_timeout(ANSWER).context("chromium says nothing")?;
        if message["id"].is_null() {
            self.events.push(message.clone());
        }
        Ok(message)
    }

    /// Goes there, and returns when everything is loaded.
    pub(crate) fn visit(&mut self, url: &str) -> Result<()> {
        self.events.clear();
        let gone = self.call("Page.navigate", &json!({"url": url}))?;
        ensure!(gone["errorText"].is_null(), "{url}: {}", gone["errorText"]);
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.next()?;
        }
        Ok(())
    }

    /// The value of an expression on the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Result<Value> {
        let params = json!({"expression": expression, "returnByValue": true});
        let done = self.call("Runtime.evaluate", &params)?;
        if let Some(error) = done.get("exceptionDetails") {
            bail!("{expression}: {error}");
        }
        Ok(done["result"]["value"].clone())
    }

    /// A picture of what is in the window, as PNG.
    pub(crate) fn picture(&mut self, file: &Path) -> Result<()> {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png"}))?;
        let text = shot["data"].as_str().context("no picture")?;
        std::fs::write(file, base64(text)?).with_context(|| file.display().to_string())
    }

    /// Addresses that were asked for since the last visit began.
    pub(crate) fn requests(&self) -> Vec<&str> {
        let of = |event: &'_ Value| event["method"] == "Network.requestWillBeSent";
        let asked = self.events.iter().filter(|event| of(event));
        asked.filter_map(|event| event["params"]["request"]["url"].as_str()).collect()
    }

    /// What the console shows: errors, violations of the policy, exceptions.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let is = |event: &&Value| {
            event["method"] == "Log.entryAdded" || event["method"] == "Runtime.exceptionThrown"
        };
        self.events.iter().filter(is).map(|event| event["params"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself; its profile goes with its directory.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads in a thread of its own, so that an answer that never comes is noticed.
fn listen(from: File) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for message in BufReader::new(from).split(0) {
            let Ok(message) = message else { return };
            let Ok(value) = serde_json::from_slice(&message) else { return };
            if sender.send(value).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The bytes of base64, as the protocol sends pictures.
fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("{:?} is not base64", char::from(c)),
        };
        held = held << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (held >> bits).to_be_bytes();
            bytes.push(byte);
            held &= (1 << bits) - 1;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_decoded() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        assert_eq!(base64("/+7d").unwrap(), [0xff, 0xee, 0xdd]);
        base64("a b").unwrap_err();
    }
}
