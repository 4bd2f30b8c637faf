//! The HTTP API, asked: what comes back, or why not, in one line.

use super::model::{Board, Boards, Query, Ranking, encoded};
use crate::text::shown;
use crest_connectors::http_agent::{Patience, agent};
use serde_json::Value;
use std::error::Error;
use std::io::Read;
use std::time::Duration;
use ureq::http::{HeaderValue, Response, Uri};
use ureq::{Agent, Body};

/// For an answer to begin.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream says something every second; one that is silent for so long is lost.
const SILENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read whole.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// The longest refusal that is read; it is one line.
const MAX_REFUSAL_BYTES: u64 = 64 << 10;
/// The most boards of a server that are taken.
const MOST_BOARDS: usize = 100_000;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The URL or the token cannot be meant.
    #[error("{0}")]
    Invalid(String),
    /// Nothing answers there, or no longer.
    #[error("{url} does not answer: {reason} (`crest` starts a server there, --url names another)")]
    Unreachable {
        /// As it was given.
        url: String,
        /// What failed.
        reason: String,
    },
    /// It wants a token, or another one.
    #[error("{0} wants a token that it knows: give it by --token or CREST_TOKEN")]
    Unauthorized(String),
    /// There is no ranking yet, and maybe why.
    #[error("{0}")]
    NotYet(String),
    /// It has trouble of its own, which may pass.
    #[error("{0}")]
    Trouble(String),
    /// It refuses what was asked for.
    #[error("{0}")]
    Refused(String),
    /// What answers is no `crest`.
    #[error("{url} answers what `crest` would not: {reason}")]
    Foreign {
        /// As it was given.
        url: String,
        /// What was wrong with the answer.
        reason: String,
    },
}

impl TopError {
    /// Whether a later attempt may fare better.
    pub fn passes(&self) -> bool {
        matches!(self, TopError::Unreachable { .. } | TopError::NotYet(_) | TopError::Trouble(_))
    }
}

/// A server.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// A client for a server's URL, which may have a path that it is mounted under.
    ///
    /// # Errors
    /// [`TopError::Invalid`].
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, TopError> {
        let base = url.trim_end_matches('/');
        let uri: Option<Uri> = base.parse().ok();
        let usable = |uri: &Uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some()
                && uri.query().is_none()
        };
        if !uri.as_ref().is_some_and(usable) {
            return Err(TopError::Invalid(format!(
                "--url {url:?}: must be http://host:port or https://host"
            )));
        }
        let authorization = token.filter(|token| !token.is_empty()).map(authorization).transpose()?;
        let agent = agent(Patience::Stream { begins: ANSWER_TIMEOUT, silent: SILENCE });
        Ok(Client { agent, url: base.to_owned(), authorization })
    }

    /// All boards.
    ///
    /// # Errors
    /// Any but [`TopError::Invalid`], as of the other calls.
    pub fn boards(&self) -> Result<Vec<Board>, TopError> {
        let (mut all, mut path) = (Vec::new(), "/boards".to_owned());
        loop {
            let body = self.get(&path)?;
            let Boards { boards, next } =
                serde_json::from_str(&body).map_err(|error| self.foreign(&error))?;
            let names_last = next.as_ref() == boards.last().map(|board| &board.name);
            all.extend(boards);
            let Some(last) = next else { return Ok(all) };
            if !names_last || all.len() > MOST_BOARDS {
                let reason = "its pages of boards do not end".to_owned();
                return Err(TopError::Foreign { url: self.url.clone(), reason });
            }
            path = format!("/boards?after={}", encoded(&last));
        }
    }

    /// A ranking, as JSON.
    ///
    /// # Errors
    /// As [`boards`](Self::boards).
    pub fn ranking(&self, query: &Query) -> Result<String, TopError> {
        self.get(&query.path("/top-k"))
    }

    /// What rises, as JSON, against what this names.
    ///
    /// # Errors
    /// As [`boards`](Self::boards).
    pub fn rising(&self, query: &Query, against: Option<&str>) -> Result<String, TopError> {
        self.get(&query.rising_path(against))
    }

    /// What is known of an item, as JSON; with a step, its points too.
    ///
    /// # Errors
    /// As [`boards`](Self::boards).
    pub fn item(&self, query: &Query, id: &str, step: Option<&str>) -> Result<String, TopError> {
        self.get(&query.item_path(id, step))
    }

    /// The stream of a ranking.
    ///
    /// # Errors
    /// As [`boards`](Self::boards).
    pub fn stream(&self, query: &Query) -> Result<impl Read + use<>, TopError> {
        Ok(self.call(&query.path("/stream"))?.into_body().into_reader())
    }

    /// What [`ranking`](Self::ranking) or a stream said.
    ///
    /// # Errors
    /// [`TopError::Foreign`].
    pub fn parse(&self, body: &str) -> Result<Ranking, TopError> {
        let mut ranking: Ranking = serde_json::from_str(body).map_err(|error| self.foreign(&error))?;
        if let Some(other) = ranking.other {
            ranking.snapshot.note_lacking(other.upper);
        }
        Ok(ranking)
    }

    /// The connection was lost.
    pub fn lost(&self, error: &dyn Error) -> TopError {
        let url = self.url.clone();
        TopError::Unreachable { url, reason: shown(&innermost(error)) }
    }

    fn get(&self, path: &str) -> Result<String, TopError> {
        let mut answer = self.call(path)?;
        let body = answer.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_string();
        body.map_err(|error| self.lost(&error))
    }

    fn call(&self, path: &str) -> Result<Response<Body>, TopError> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = request.call().map_err(|error| self.lost(&error))?;
        let status = answer.status().as_u16();
        if status == 200 {
            return Ok(answer);
        }
        let body = answer.body_mut().with_config().limit(MAX_REFUSAL_BYTES).read_to_string();
        Err(self.refusal(status, &body.unwrap_or_default()))
    }

    fn refusal(&self, status: u16, body: &str) -> TopError {
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        let said = match value["error"].as_str() {
            Some(error) => shown(error),
            None => format!("{} answers with status {status}", self.url),
        };
        match status {
            401 => TopError::Unauthorized(self.url.clone()),
            404 => TopError::Refused(format!("{said}{}{}", list(&value, "boards"), list(&value, "windows"))),
            503 if said.starts_with("there is no ranking") => TopError::NotYet(said),
            408 | 429 | 500.. => TopError::Trouble(said),
            _ => TopError::Refused(said),
        }
    }

    /// It answered what `crest` would not.
    pub fn foreign(&self, error: &serde_json::Error) -> TopError {
        TopError::Foreign { url: self.url.clone(), reason: shown(&error.to_string()) }
    }
}

fn authorization(token: &str) -> Result<HeaderValue, TopError> {
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| visible);
    let mut value = value.ok_or_else(|| {
        TopError::Invalid("--token: must be visible characters of ASCII, without spaces".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// `; boards: a, b`, where the answer has such a list.
fn list(value: &Value, name: &str) -> String {
    let names: Vec<String> =
        value[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(shown).collect();
    if names.is_empty() { String::new() } else { format!("; {name}: {}", names.join(", ")) }
}

/// The cause of the causes says most: `Connection refused (os error 111)`.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    text.strip_prefix("io: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    fn client() -> Client {
        Client::new("http://127.0.0.1:8080/", Some("t")).unwrap()
    }

    #[test]
    fn only_a_server_can_be_asked_and_its_token_is_not_told() {
        for url in ["127.0.0.1:8080", "ftp://h", "http://", "http://h/?x=1", "nonsense"] {
            assert!(matches!(Client::new(url, None), Err(TopError::Invalid(text)) if text.contains(url)));
        }
        for token in ["sec\nret", "söcret", "sec ret"] {
            let error = Client::new("http://h", Some(token)).err().unwrap().to_string();
            assert!(error.contains("--token") && !error.contains("ret"), "{error}");
        }
        assert_eq!(Client::new("https://h/below/", None).unwrap().url, "https://h/below");
    }

    #[test]
    fn each_refusal_says_what_helps() {
        let refusal = |status, body: &str| client().refusal(status, body);
        assert!(refusal(401, "").to_string().contains("--token"));
        let body = r#"{"error":"there is no board \"x\"","boards":["a","b"],"windows":["w"]}"#;
        assert_eq!(refusal(404, body).to_string(), r#"there is no board "x"; boards: a, b; windows: w"#);
        let early = refusal(503, r#"{"error":"there is no ranking yet: read 2 records, counted none"}"#);
        assert!(matches!(&early, TopError::NotYet(said) if said.ends_with("counted none")) && early.passes());
        assert!(refusal(502, "<html>").passes() && !refusal(400, r#"{"error":"k"}"#).passes());
        assert_eq!(refusal(400, "{\"error\":\"\\u001b[31m\"}").to_string(), "\\u{1b}[31m");
    }

    /// The names of all boards of a server that answers each request with the body of its path.
    fn boards_of(answer: fn(&str) -> String) -> Result<Vec<String>, TopError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let mut header = String::from("-");
                while header.trim() != "" {
                    header.clear();
                    stream.read_line(&mut header).unwrap();
                }
                let body = answer(line.split(' ').nth(1).unwrap());
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}", body.len());
                write!(stream.get_mut(), "{head}\r\n\r\n{body}").unwrap();
            }
        });
        let boards = Client::new(&url, None).unwrap().boards()?;
        Ok(boards.into_iter().map(|board| board.name).collect())
    }

    #[test]
    fn boards_come_in_pages_that_end() {
        let pages = |path: &str| match path {
            "/boards" => r#"{"boards":[{"name":"a b","k":1,"windows":[]}],"next":"a b"}"#.to_owned(),
            "/boards?after=a%20b" => r#"{"boards":[{"name":"c","k":1,"windows":[]}]}"#.to_owned(),
            other => panic!("{other}"),
        };
        assert_eq!(boards_of(pages).unwrap(), ["a b", "c"]);
        for endless in [(|_| r#"{"boards":[],"next":"a"}"#.to_owned()) as fn(&str) -> String, |_| {
            r#"{"boards":[{"name":"a","k":1,"windows":[]}],"next":"b"}"#.to_owned()
        }] {
            assert!(matches!(boards_of(endless), Err(TopError::Foreign { .. })));
        }
    }
}
