//! The example of a page of one's own, `examples/page/index.html`, in a real browser: on another origin than the server, which
//! lists it, through a restart of the server; and on one that the server does not list.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step is a failed test

#[path = "page/browser.rs"]
#[allow(dead_code)] // the tests of the program's own page do more with it
mod browser;
mod common;

use browser::Browser;
use common::program::{Crest, path};
use common::web::Web;
use common::{free_port, new_folder, root};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Serves the page to everybody until the test ends; the origin.
fn serve_page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let page = std::fs::read(root().join("examples/page/index.html")).unwrap();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let (status, body) = if line.starts_with("GET /index.html") {
                ("200 OK", &page[..])
            } else {
                ("404 Not Found", &[][..])
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    origin
}

fn start(dir: &Path, http: &str) -> Crest {
    let (log, state) = (format!("log:{}", path(&dir.join("log"))), dir.join("state"));
    let config = dir.join("crest.toml");
    let arguments = ["--config", path(&config), "--source", &log, "--state", path(&state), "--http", http];
    let mut crest = Crest::spawn(arguments);
    crest.until_logged(&format!("http://{http}"));
    crest
}

fn send(web: &Web, item: &str, count: usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let event = format!("{{\"item_id\":{item:?},\"timestamp\":{now}}}\n");
    assert_eq!(web.send("POST", "/events", &[], event.repeat(count).as_bytes()).status, 202);
}

fn rows(browser: &Browser) -> Vec<String> {
    let rows =
        browser.run("return [...document.querySelectorAll('#trending li')].map((row) => row.textContent)");
    serde_json::from_value::<Vec<String>>(rows).unwrap()
}

#[test]
fn a_page_of_a_listed_origin_shows_the_ranking_through_a_restart() {
    let (origin, other) = (serve_page(), serve_page());
    let dir = new_folder("example-page");
    let config = format!("[http]\ncors = [{origin:?}]\n[time]\nrefresh = \"100ms\"\n");
    std::fs::write(dir.join("crest.toml"), config).unwrap();
    let http = format!("127.0.0.1:{}", free_port());
    let mut crest = start(&dir, &http);
    let web = Web::at(&format!("http://{http}"));
    send(&web, "<b>bold</b>", 3);
    send(&web, "plain", 2);
    let browser = Browser::open(800, 600);
    browser.go(&format!("{origin}/index.html?crest=http://{http}&window=last_1h"));
    let shows = |wanted: &[&str]| {
        browser.until("the ranking", || rows(&browser), |shown| shown == wanted);
    };
    shows(&["<b>bold</b>: 3", "plain: 2"]);
    send(&web, "plain", 5);
    shows(&["plain: 7", "<b>bold</b>: 3"]);
    crest.kill();
    browser.until(
        "the page says it",
        || browser.text("#said"),
        |said| said.starts_with("The server is away"),
    );
    let mut crest = start(&dir, &http);
    send(&web, "new", 9);
    shows(&["new: 9", "plain: 7", "<b>bold</b>: 3"]);

    browser.go(&format!("{origin}/index.html?crest=http://{http}&board=none"));
    browser.until("the server's words", || browser.text("#said"), |said| said.contains("none"));
    browser.go(&format!("{other}/index.html?crest=http://{http}"));
    browser.until(
        "it may not ask",
        || browser.text("#said"),
        |said| said.starts_with("The server is away, or"),
    );
    assert_eq!(rows(&browser), Vec::<String>::new());
    assert_eq!(browser.run("return typeof EventSource"), Value::from("function"));
    crest.kill();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn it_is_short() {
    let page = std::fs::read_to_string(root().join("examples/page/index.html")).unwrap();
    assert!(page.lines().count() < 40, "the README says so");
}
