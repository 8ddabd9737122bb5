//! Where the story is told: a network, a browser for each person, and how things are seen to be so.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use serde_json::{Value, json};

use super::axe;
use super::webdriver::{Browser, Driver, ENTER, TAB, decoded};
use crate::gate::Tally;
use crate::network::TALLY;

/// A phone and a desk, in CSS pixels.
const SIZES: [(&str, u32, u32); 2] = [("phone", 390, 844), ("desk", 1280, 900)];
/// The smallest phone that a page fits on.
const SMALLEST: (u32, u32) = (320, 640);
/// Two rows of the bar, in CSS pixels.
const BAR_HEIGHT_MAX: f64 = 120.0;
const SCHEMES: [&str; 2] = ["light", "dark"];
/// Fields that one may have to pass until the one that is wanted.
const TABS_MAX: usize = 20;
/// What is beyond is not in a picture.
const PICTURE_HEIGHT_MAX: f64 = 1600.0;

/// The stage.
pub struct Stage<'a> {
    /// The folder of the network.
    pub folder: &'a Path,
    /// Opens browsers.
    pub driver: &'a Driver,
    axe: &'a str,
    pictures: Option<PathBuf>,
    table: Value,
    tally: RefCell<Tally>,
}

impl<'a> Stage<'a> {
    /// Beside the network in `folder`; `pictures` is the folder for pictures, if any are wanted.
    pub fn new(
        folder: &'a Path,
        driver: &'a Driver,
        axe: &'a str,
        pictures: Option<PathBuf>,
    ) -> Result<Stage<'a>, String> {
        let table = std::fs::read(folder.join(".tally/up.json")).map_err(|e| e.to_string())?;
        let table = serde_json::from_slice(&table).map_err(|error| error.to_string())?;
        if let Some(folder) = &pictures {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        Ok(Stage { folder, driver, axe, pictures, table, tally: RefCell::default() })
    }

    /// What was seen so far.
    pub fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    /// One thing that must be so; the story cannot go on without it.
    pub fn holds(&self, what: &str, is_so: bool) -> Result<(), String> {
        if !is_so {
            return Err(format!("it does not hold that {what}"));
        }
        self.tally.borrow_mut().add(Tally::one(true));
        Ok(())
    }

    /// The address of a page.
    pub fn page(&self, role: &str, path: &str) -> String {
        let mut roles = self.table["roles"].as_array().into_iter().flatten();
        let found = roles.find(|entry| entry["role"] == role);
        let address = found.and_then(|entry| entry["address"].as_str()).unwrap_or_default();
        format!("http://{address}{path}")
    }

    /// The text of one of the network's files.
    pub fn file(&self, name: &str) -> Result<String, String> {
        let text = std::fs::read_to_string(self.folder.join(".tally").join(name));
        text.map(|text| text.trim().to_owned()).map_err(|error| format!("{name}: {error}"))
    }

    /// Runs the binary in the folder of the network; gives what it prints.
    pub fn command(&self, line: &str) -> Result<String, String> {
        let output = Command::new(TALLY)
            .args(line.split_whitespace())
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{TALLY}: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(format!("tally {line}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Writes a file into the folder of the network; gives its path.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| format!("{name}: {error}"))?;
        Ok(path.display().to_string())
    }

    /// Fills a form with nothing but the keyboard, from the top of a page, and sends it.
    pub async fn by_keyboard(
        &self,
        browser: &Browser<'_>,
        fields: &[(&str, &str)],
        button: &str,
    ) -> Result<(), String> {
        for (field, text) in fields {
            self.tab_to(browser, field).await?;
            browser.press(text).await?;
        }
        self.tab_to(browser, button).await?;
        browser.press(ENTER).await
    }

    async fn tab_to(&self, browser: &Browser<'_>, css: &str) -> Result<(), String> {
        for _ in 0..TABS_MAX {
            let is_there = "return document.activeElement.matches(arguments[0])";
            if browser.run(is_there, json!([css])).await? == true {
                return self.holds(&format!("the keyboard leads to {css}"), true);
            }
            browser.press(TAB).await?;
        }
        Err(format!("the keyboard does not lead to {css}"))
    }

    /// Looks at the page as it is now, on a phone and on a desk, light and dark: no barrier, and
    /// nothing beside the window. `shown` are pictures for the documentation, such as `phone-dark`.
    pub async fn look(
        &self,
        browser: &Browser<'_>,
        name: &str,
        shown: &[&str],
    ) -> Result<(), String> {
        for (size, width, height) in SIZES {
            resize(browser, width, height, 1).await?;
            for scheme in SCHEMES {
                colours(browser, scheme).await?;
                let place = format!("{name} ({size}, {scheme})");
                let barriers = axe::barriers(browser, self.axe).await?;
                barriers.iter().for_each(|barrier| println!("{place}: {barrier}"));
                self.holds(&format!("{place} has no barriers"), barriers.is_empty())?;
                self.fits(browser, &place).await?;
                if shown.contains(&format!("{size}-{scheme}").as_str()) {
                    self.picture(browser, &format!("{name}-{size}-{scheme}"), width).await?;
                }
            }
        }
        resize(browser, SMALLEST.0, SMALLEST.1, 1).await?;
        self.fits(browser, &format!("{name} (the smallest phone)")).await?;
        let rows = "return document.querySelector('header.bar').offsetHeight";
        let height = browser.run(rows, json!([])).await?.as_f64().unwrap_or(f64::MAX);
        self.holds(&format!("the bar of {name} has two rows"), height <= BAR_HEIGHT_MAX)?;
        colours(browser, "light").await
    }

    /// Nothing stands beside the window.
    async fn fits(&self, browser: &Browser<'_>, place: &str) -> Result<(), String> {
        let too_wide = "return document.scrollingElement.scrollWidth > innerWidth";
        let too_wide = browser.run(too_wide, json!([])).await? == true;
        self.holds(&format!("{place} fits into the window"), !too_wide)
    }

    /// The page barriers are looked for on, by axe-core as [`Stage::look`] asks it.
    pub async fn barriers(&self, browser: &Browser<'_>) -> Result<Vec<String>, String> {
        axe::barriers(browser, self.axe).await
    }

    /// The browser complained about nothing but what each of `expected` is part of.
    pub async fn quiet(&self, browser: &Browser<'_>, expected: &[&str]) -> Result<(), String> {
        let said = browser.complaints().await?;
        let unexpected: Vec<_> =
            said.iter().filter(|line| !expected.iter().any(|part| line.contains(part))).collect();
        unexpected.iter().for_each(|line| println!("the browser complains: {line}"));
        let unheard: Vec<_> =
            expected.iter().filter(|part| !said.iter().any(|line| line.contains(*part))).collect();
        unheard.iter().for_each(|part| println!("the browser does not complain: {part}"));
        self.holds("the console is quiet", unexpected.is_empty() && unheard.is_empty())
    }

    async fn picture(&self, browser: &Browser<'_>, name: &str, width: u32) -> Result<(), String> {
        let Some(folder) = &self.pictures else { return Ok(()) };
        let layout = browser.chromium("Page.getLayoutMetrics", json!({})).await?;
        let height = layout["cssContentSize"]["height"].as_f64().unwrap_or_default();
        let height = height.min(PICTURE_HEIGHT_MAX);
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = browser.chromium("Page.captureScreenshot", wanted).await?;
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, smaller(&decoded(&taken["data"])?)?).map_err(|e| e.to_string())
    }
}

/// Gives the window another size; `pixels` are those of the screen for one of CSS.
pub async fn resize(
    browser: &Browser<'_>,
    width: u32,
    height: u32,
    pixels: u32,
) -> Result<(), String> {
    let size = json!({
        "width": width, "height": height, "deviceScaleFactor": pixels, "mobile": false,
    });
    browser.chromium("Emulation.setDeviceMetricsOverride", size).await.map(|_| ())
}

async fn colours(browser: &Browser<'_>, scheme: &str) -> Result<(), String> {
    let features = json!({ "features": [
        { "name": "prefers-color-scheme", "value": scheme },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ] });
    browser.chromium("Emulation.setEmulatedMedia", features).await.map(|_| ())
}

/// The same picture in fewer bytes.
fn smaller(png: &[u8]) -> Result<Vec<u8>, String> {
    let picture = image::load_from_memory(png).map_err(|error| error.to_string())?.to_rgb8();
    let mut smallest = png.to_vec();
    for filter in [FilterType::NoFilter, FilterType::Up, FilterType::Adaptive] {
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, filter);
        picture.write_with_encoder(encoder).map_err(|error| error.to_string())?;
        if bytes.len() < smallest.len() {
            smallest = bytes;
        }
    }
    Ok(smallest)
}
