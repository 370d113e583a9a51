//! Chromium without a window, told what to do over a pipe (the DevTools protocol). It ends with the pipe, so whatever
//! becomes of the test leaves no browser behind.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names that Chromium goes by.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Said where there is none.
pub const MISSING: &str = "there is no Chromium here: apt-get install chromium, or KUBECTL_ASM_CHROMIUM=PROGRAM";

/// The browser of this machine: `KUBECTL_ASM_CHROMIUM`, or what is on the PATH.
#[must_use]
pub fn find() -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("KUBECTL_ASM_CHROMIUM").filter(|chosen| !chosen.is_empty()) {
        return Some(chosen.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name))).find(|program| program.is_file())
}

/// A browser with one page.
pub struct Browser {
    child: Child,
    pipe: Option<ChildStdin>,
    heard: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    /// What the page said on its console, and what went wrong in it.
    pub complaints: Vec<String>,
    /// What it asked for.
    pub requests: Vec<String>,
    _home: TempDir,
}

impl Browser {
    /// Starts it with an empty profile and opens a page.
    pub fn start(program: &Path) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let mut command = Command::new("sh");
        // The protocol is spoken on the descriptors 3 and 4.
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null", "sh"]).arg(program);
        command
            .args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--hide-scrollbars"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
            .args(["--force-color-profile=srgb", "--lang=en-US", "--window-size=1280,900"])
            // Root, as in many build containers, has no sandbox; the only pages that are opened are our own.
            .arg("--no-sandbox")
            .arg(format!("--user-data-dir={}", home.path().display()))
            .env("HOME", home.path())
            .env("TZ", "UTC");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start Chromium")?;
        let pipe = child.stdin.take();
        let output = child.stdout.take().context("the browser has an output")?;
        let (say, heard) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(std::io::Result::ok) {
                if serde_json::from_slice(&message).is_ok_and(|message: Value| say.send(message).is_err()) {
                    return;
                }
            }
        });
        let (complaints, requests) = (Vec::new(), Vec::new());
        let mut browser = Self { child, pipe, heard, session: None, asked: 0, complaints, requests, _home: home };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}))?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        // Without a window there is no focus, unless it is said that there is.
        browser.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}))?;
        Ok(browser)
    }

    /// One command of the protocol, and its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.asked += 1;
        let id = self.asked;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let pipe = self.pipe.as_mut().context("the browser is there")?;
        pipe.write_all(format!("{message}\0").as_bytes()).and_then(|()| pipe.flush()).context("the browser is gone")?;
        let end = Instant::now() + PATIENCE;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(answer) if answer["id"] == id => {
                    if let Some(error) = answer.get("error") {
                        bail!("{method}: {}", error["message"]);
                    }
                    return Ok(answer["result"].clone());
                }
                Ok(event) => self.note(&event),
                Err(RecvTimeoutError::Timeout) => bail!("{method}: no answer within {} s", PATIENCE.as_secs()),
                Err(RecvTimeoutError::Disconnected) => bail!("{method}: the browser has ended"),
            }
        }
    }

    /// Remembers what the page asks for and what goes wrong in it.
    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.extend(params["request"]["url"].as_str().map(str::to_owned));
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" || params["type"] == "warning" => {
                self.complaints.push(params["args"].to_string());
            }
            "Runtime.exceptionThrown" => self.complaints.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" => self.complaints.push(params["entry"]["text"].to_string()),
            _ => {}
        }
    }

    /// Goes to an address and waits until the page is there.
    pub fn open(&mut self, url: &str) -> Result<()> {
        let gone = self.call("Page.navigate", json!({"url": url}))?;
        ensure!(gone.get("errorText").is_none(), "{url}: {}", gone["errorText"]);
        self.wait(url, "document.readyState === 'complete'")
    }

    /// What an expression is in the page.
    pub fn eval(&mut self, expression: &str) -> Result<Value> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", params)?;
        if let Some(error) = result.get("exceptionDetails") {
            bail!("{expression}: {error}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// The text of what a selector finds.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        let found = self.eval(&format!("document.querySelector({})?.innerText", json!(selector)))?;
        found.as_str().map(str::to_owned).ok_or_else(|| anyhow!("the page has no {selector}"))
    }

    /// Waits until an expression is true in the page. While another page comes, there is nothing to ask.
    pub fn wait(&mut self, what: &str, expression: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.eval(expression).is_ok_and(|value| value == true) {
            if Instant::now() > end {
                let text = self.eval("document.body.innerText")?;
                bail!("{what}: still not so: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Presses a key that does something: `Tab`, `Enter`.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let code = if key == "Tab" { 9 } else { 13 };
        for kind in ["rawKeyDown", "keyUp"] {
            let params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", params)?;
        }
        Ok(())
    }

    /// What a screen reader is told: roles with their names, but for what it is not told.
    pub fn told(&mut self) -> Result<BTreeMap<String, Vec<String>>> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}))?;
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in tree["nodes"].as_array().into_iter().flatten().filter(|node| node["ignored"] != true) {
            let role = node["role"]["value"].as_str().unwrap_or_default().to_owned();
            told.entry(role).or_default().push(node["name"]["value"].as_str().unwrap_or_default().to_owned());
        }
        Ok(told)
    }

    /// Takes a picture of the page, in this colour scheme.
    pub fn screenshot(&mut self, file: &Path, scheme: &str, height: u32) -> Result<()> {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", feature)?;
        let size = json!({"width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let taken = self.call("Page.captureScreenshot", json!({"format": "png"}))?;
        let data = taken["data"].as_str().context("a picture has data")?;
        let image = base64::engine::general_purpose::STANDARD.decode(data)?;
        std::fs::write(file, image).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It may have ended already; and nobody is left to hear of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
