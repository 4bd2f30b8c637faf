//! The program's HTTP API, as a client sees it.

use super::events::Event;
use super::program::Crest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

const EVENTS_AT_A_TIME: usize = 500;

/// What came back.
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Where a running program answers.
pub struct Web {
    agent: ureq::Agent,
    address: String,
}

impl Web {
    /// Starts a job or a node with these options, on a port of its own, and waits until it answers.
    pub fn of_new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> (Crest, Web) {
        let mut arguments: Vec<OsString> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
        arguments.extend(["--http", "127.0.0.1:0"].map(OsString::from));
        let mut crest = Crest::spawn(arguments);
        let web = Web::of(&mut crest);
        (crest, web)
    }

    /// Waits for the line in which the program says where it answers.
    pub fn of(crest: &mut Crest) -> Web {
        let line = crest.until_logged("http://127.0.0.1:");
        let address = line[line.find("http://").unwrap()..].trim().to_owned();
        Web::at(&address)
    }

    /// `http://host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The status and the body of an answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut answer = self.agent.get(format!("{}{path}", self.address)).call().expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a body of text"))
    }

    /// Of a program that answers there, or did.
    pub fn at(address: &str) -> Web {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)));
        Web { agent: config.build().into(), address: address.to_owned() }
    }

    /// The whole answer to a request of any kind.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).expect("an answer")
    }

    /// Sends events, some at a time. All of them must be taken.
    pub fn send_events(&self, events: &[Event]) {
        for some in events.chunks(EVENTS_AT_A_TIME) {
            let body: String = some.iter().map(|event| event.json() + "\n").collect();
            let answer = self.send("POST", "/events", &[], body.as_bytes());
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
    }

    /// The whole answer, if there is one: the program may be killed.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            [] if method == "GET" => self.agent.run(request.body(()).expect("a request")),
            body => self.agent.run(request.body(body).expect("a request")),
        };
        let mut answer = answer?;
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: answer.body_mut().read_to_string()?,
        })
    }

    /// The body of a good answer.
    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("an answer in JSON")
    }

    /// The sum of a metric's samples: `crest_records_total`, or only those whose labels hold `label`
    /// (`reason="late"`). The metric must be there.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let (status, page) = self.get("/metrics");
        assert_eq!(status, 200, "{page}");
        assert!(page.contains(&format!("# TYPE {name} ")), "no metric {name} in:\n{page}");
        let sample = |line: &str| {
            let (key, value) = line.rsplit_once(' ')?;
            let (found, labels) = key.split_once('{').unwrap_or((key, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().expect("a number"))
        };
        page.lines().filter_map(sample).sum()
    }

    /// How many records were refused for this reason.
    pub fn refused(&self, reason: &str) -> u64 {
        self.metric("crest_refused_total", &format!("reason=\"{reason}\"")) as u64
    }
}
