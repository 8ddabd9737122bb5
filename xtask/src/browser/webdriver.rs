//! Chromium behind its driver, spoken to in JSON as W3C WebDriver has it.
//!
//! Nothing here waits for a time: what takes a while is asked for until it is so.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::setup;

/// Nothing here takes this long but when it is broken.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(25);
/// The name of an element's id (WebDriver, section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The key that goes to the next field (WebDriver, section 15.4.2).
pub const TAB: &str = "\u{e004}";
/// The key that presses a button.
pub const ENTER: &str = "\u{e007}";

/// A running driver; it and its browsers end when it is dropped.
pub struct Driver {
    child: Child,
    /// Kept open: the driver ends when nobody reads what it says.
    _said: BufReader<ChildStdout>,
    url: String,
    http: reqwest::Client,
    sessions: RefCell<Vec<String>>,
}

impl Driver {
    /// Starts the driver on a port that it picks.
    pub fn start() -> Result<Driver, String> {
        let mut child = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            // Times are shown by the reader's clock, wherever this runs.
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("missing: chromium-driver: {error}"))?;
        let mut said = BufReader::new(child.stdout.take().ok_or("the driver has no output")?);
        let mut line = String::new();
        let port = loop {
            line.clear();
            if said.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err("the driver did not say where it listens".to_owned());
            }
            if let Some((_, rest)) = line.split_once("started successfully on port ") {
                break rest.trim().trim_end_matches('.').to_owned();
            }
        };
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::builder().no_proxy().build().map_err(|e| e.to_string())?;
        Ok(Driver { child, _said: said, url, http, sessions: RefCell::default() })
    }

    /// Opens a browser of its own, with nothing remembered; `more` are options of Chromium.
    pub async fn open(&self, more: &[&str]) -> Result<Browser<'_>, String> {
        let mut options = vec!["--headless=new", "--disable-dev-shm-usage"];
        if setup::is_root() {
            options.push("--no-sandbox");
        }
        options.extend(more);
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": options },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let opened = self.ask("session", Some(capabilities)).await;
        let opened = opened.map_err(|cause| format!("missing: chromium: {cause}"))?;
        let id = opened["sessionId"].as_str().ok_or("a session without an id")?.to_owned();
        self.sessions.borrow_mut().push(id.clone());
        Ok(Browser { driver: self, id })
    }

    /// Closes all browsers.
    pub async fn close_all(&self) {
        let sessions = self.sessions.take();
        for id in sessions {
            let closing = self.http.delete(format!("{}/session/{id}", self.url)).send();
            if let Err(error) = closing.await {
                println!("browser: {error}");
            }
        }
    }

    async fn ask(&self, path: &str, body: Option<Value>) -> Result<Value, String> {
        let address = format!("{}/{path}", self.url);
        let request = match body {
            Some(body) => self.http.post(address).json(&body),
            None => self.http.get(address),
        };
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_good = answer.status().is_success();
        let mut said: Value = answer.json().await.map_err(|error| error.to_string())?;
        let value = said["value"].take();
        if is_good {
            return Ok(value);
        }
        let message = value["message"].as_str().unwrap_or_default();
        Err(format!("{path}: {}", message.lines().next().unwrap_or_default()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            println!("chromedriver: {error}");
        }
    }
}

/// A browser window.
pub struct Browser<'d> {
    driver: &'d Driver,
    id: String,
}

impl Browser<'_> {
    async fn ask(&self, path: &str, body: Option<Value>) -> Result<Value, String> {
        self.driver.ask(&format!("session/{}/{path}", self.id), body).await
    }

    /// A command of Chromium's own (`goog/cdp/execute`).
    pub async fn chromium(&self, command: &str, parameters: Value) -> Result<Value, String> {
        let body = json!({ "cmd": command, "params": parameters });
        self.ask("goog/cdp/execute", Some(body)).await
    }

    /// Goes to an address.
    pub async fn go(&self, address: &str) -> Result<(), String> {
        self.ask("url", Some(json!({ "url": address }))).await.map(|_| ())
    }

    /// Runs the body of a function in the page.
    pub async fn run(&self, script: &str, arguments: Value) -> Result<Value, String> {
        let body = json!({ "script": script, "args": arguments });
        self.ask("execute/sync", Some(body)).await
    }

    /// Runs the body of a function in the page, which is handed another to call with its result.
    pub async fn run_async(&self, script: &str) -> Result<Value, String> {
        self.ask("execute/async", Some(json!({ "script": script, "args": [] }))).await
    }

    /// Asks for an expression until it holds, as the page's own `if` would take it; gives its value.
    pub async fn until(&self, expression: &str) -> Result<Value, String> {
        let (script, end) = (format!("return ({expression}) || null"), Instant::now() + PATIENCE);
        loop {
            // A page that is just being left knows nothing yet.
            let found = self.run(&script, json!([])).await;
            match &found {
                Ok(Value::Null) | Err(_) if Instant::now() < end => {
                    tokio::time::sleep(ASK_AGAIN_AFTER).await;
                }
                Ok(Value::Null) => {
                    let page = self.text("body").await.unwrap_or_default();
                    return Err(format!("never so: {expression}; the page says: {page}"));
                }
                _ => return found,
            }
        }
    }

    /// What the element says, as it is seen.
    pub async fn text(&self, css: &str) -> Result<String, String> {
        let found =
            self.run("return document.querySelector(arguments[0])?.innerText", json!([css]));
        Ok(found.await?.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks on an element.
    pub async fn click(&self, css: &str) -> Result<(), String> {
        let element = self.element(css).await?;
        self.ask(&format!("element/{element}/click"), Some(json!({}))).await.map(|_| ())
    }

    /// Types into a field, or gives a file's path to one for files.
    pub async fn type_into(&self, css: &str, text: &str) -> Result<(), String> {
        let element = self.element(css).await?;
        let body = Some(json!({ "text": text }));
        self.ask(&format!("element/{element}/value"), body).await.map(|_| ())
    }

    /// Presses keys wherever the focus is.
    pub async fn press(&self, keys: &str) -> Result<(), String> {
        let strokes = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        let strokes: Vec<Value> = strokes.collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.ask("actions", Some(body)).await.map(|_| ())
    }

    /// What can be seen of an element, or of the page: the bytes of a PNG.
    pub async fn screenshot(&self, css: Option<&str>) -> Result<Vec<u8>, String> {
        let path = match css {
            Some(css) => format!("element/{}/screenshot", self.element(css).await?),
            None => "screenshot".to_owned(),
        };
        decoded(&self.ask(&path, None).await?)
    }

    /// What the browser wrote into its console since it was last asked: warnings and errors.
    pub async fn complaints(&self) -> Result<Vec<String>, String> {
        let log = self.ask("se/log", Some(json!({ "type": "browser" }))).await?;
        let entries = log.as_array().into_iter().flatten();
        let grave =
            entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        Ok(grave.filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect())
    }

    async fn element(&self, css: &str) -> Result<String, String> {
        let wanted = Some(json!({ "using": "css selector", "value": css }));
        let found = self.ask("element", wanted).await?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or(format!("no element {css}"))
    }
}

/// The bytes of a picture.
pub fn decoded(value: &Value) -> Result<Vec<u8>, String> {
    STANDARD.decode(value.as_str().unwrap_or_default()).map_err(|error| error.to_string())
}
