//! A real headless Chromium, driven through chromedriver; neither outlives the test.

use super::common::new_folder;
use super::common::program::{leashed, path};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities;
use thirtyfour::{By, ChromeCapabilities, Key, LoggingPrefsLogLevel, WebDriver};
use tokio::runtime::Runtime;

/// No sandbox, since tests run as root in containers too; and nothing that asks its maker's servers.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
];
/// For what a page shows soon.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a browser to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// A browser with one page.
pub struct Browser {
    runtime: Runtime,
    driver: WebDriver,
    chromedriver: Chromedriver,
}

impl Browser {
    /// A window of this size.
    pub fn open(width: u32, height: u32) -> Browser {
        Browser::open_with(width, height, &[])
    }

    /// A window of this size, of a browser that is started with these switches too.
    pub fn open_with(width: u32, height: u32, switches: &[&str]) -> Browser {
        let chromedriver = Chromedriver::start();
        // The client of the driver wants to know how to encrypt, also where it never does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut wishes = ChromeCapabilities::new();
        let profile = format!("--user-data-dir={}", path(&chromedriver.profile));
        for flag in FLAGS.iter().chain(switches).copied().chain([profile.as_str()]) {
            wishes.add_arg(flag).unwrap();
        }
        let metrics = json!({ "width": width, "height": height, "pixelRatio": 1.0 });
        wishes.add_experimental_option("mobileEmulation", json!({ "deviceMetrics": metrics })).unwrap();
        wishes.set_logging_prefs("browser", LoggingPrefsLogLevel::All).unwrap();
        wishes.set_logging_prefs("performance", LoggingPrefsLogLevel::All).unwrap();
        let driver = runtime.block_on(WebDriver::new(chromedriver.address.clone(), wishes));
        Browser { runtime, driver: driver.expect("Chromium starts"), chromedriver }
    }

    /// Goes to an address.
    pub fn go(&self, address: &str) {
        self.runtime.block_on(self.driver.goto(address)).unwrap();
    }

    /// Goes back in the history.
    pub fn back(&self) {
        self.runtime.block_on(self.driver.back()).unwrap();
    }

    /// Loads the page again.
    pub fn reload(&self) {
        self.runtime.block_on(self.driver.refresh()).unwrap();
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.runtime.block_on(self.driver.execute(script, [])).unwrap().json().clone()
    }

    /// The text of the first element of a selector.
    pub fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.textContent ?? ''");
        self.run(&script).as_str().unwrap().to_owned()
    }

    /// Clicks the first element of a selector, as a person does.
    pub fn click(&self, selector: &str) {
        let click = async { self.driver.find(By::Css(selector)).await?.click().await };
        self.runtime.block_on(click).unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Presses keys, where the focus is.
    pub fn press(&self, keys: impl Into<thirtyfour::TypingData>) {
        let keys = keys.into();
        self.runtime.block_on(self.driver.action_chain().send_keys(keys).perform()).unwrap();
    }

    /// Presses Tab until the element with the focus matches.
    pub fn tab_to(&self, selector: &str) {
        let reached = format!("return document.activeElement.matches({selector:?})");
        for _ in 0..80 {
            if self.run(&reached) == true {
                return;
            }
            self.press(Key::Tab);
        }
        panic!("the keyboard does not reach {selector}");
    }

    /// Waits until something found is as wanted; says what it was last where it never is.
    pub fn until<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        mut look: impl FnMut() -> T,
        good: impl Fn(&T) -> bool,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = look();
            if good(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the page's console said since the last look: errors, warnings and what the policy refused.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.runtime.block_on(self.driver.get_log("browser")).unwrap();
        log.into_iter().map(|entry| format!("{} {}", entry.level, entry.message)).collect()
    }

    /// The addresses that were asked for since the last look, but for the browser's own empty page.
    pub fn requests(&self) -> Vec<String> {
        let log = self.runtime.block_on(self.driver.get_log("performance")).unwrap();
        let address = |text: &str| {
            let event: Value = serde_json::from_str(text).unwrap();
            let message = &event["message"];
            let asked = &message["params"];
            let own = asked["documentURL"].as_str().is_none_or(|page| page.starts_with("chrome:"));
            let new = message["method"] == "Network.requestWillBeSent" && !own;
            new.then(|| asked["request"]["url"].as_str().unwrap().to_owned())
        };
        log.iter().filter_map(|entry| address(&entry.message)).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let driver = self.driver.clone();
        let _ = self.runtime.block_on(async { tokio::time::timeout(FAREWELL, driver.quit()).await });
        self.chromedriver.end();
    }
}

/// The driver and, in its process group, its browser.
struct Chromedriver {
    process: Child,
    address: String,
    profile: PathBuf,
}

impl Chromedriver {
    /// Starts one. It takes a free port of IPv4, and ends if somebody has the same of IPv6; so it is tried again.
    fn start() -> Chromedriver {
        (0..5).find_map(|_| Chromedriver::try_start()).expect("chromedriver says its port")
    }

    fn try_start() -> Option<Chromedriver> {
        let profile = new_folder("browser");
        let mut command = leashed("chromedriver");
        command.arg("--port=0").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process =
            command.spawn().expect("chromedriver starts; Debian has it in the package chromium-driver");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut driver = Chromedriver { process, address: String::new(), profile };
        let port = lines.find_map(|line| {
            eprintln!("chromedriver: {line}");
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        })?;
        driver.address = format!("http://127.0.0.1:{port}");
        // It is not to wait for anybody to read what else it says.
        std::thread::spawn(move || lines.for_each(drop));
        Some(driver)
    }

    fn end(&mut self) {
        let group = format!("kill -s KILL -- -{}", self.process.id());
        let _ = Command::new("sh").args(["-c", &group]).stderr(Stdio::null()).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        self.end();
    }
}
