//! The script counts what crest counts: on a small input, whose panes fit crest's tables, both give the same rankings.

use crate::input::Input;
use crate::script;
use crate::shape::Shape;
use crate::windows::Ranking;
use std::process::Command;

/// So many events make 100 minutes, so that panes leave the window of an hour.
const EVENTS: usize = 20_000;
const MICROS: i64 = 300_000;
const ITEMS: usize = 1_000;

/// How many rows of a ranking are held against each other.
const ROWS: usize = 10;

pub fn agree(shape: &Shape) {
    let input = Input::write(shape, EVENTS, ITEMS, MICROS);
    let (crest, script) =
        (output(&mut input.events.job()), output(&mut script::command(shape, &input.events.file)));
    let (crest, script) = (rankings(&crest), rankings(&script));
    let most = script.iter().map(|ranking| ranking.total).max();
    assert_eq!(most, Some(EVENTS as u64), "{}: last_24h holds every event", shape.name);
    assert_eq!(crest.len(), script.len(), "{}: as many rankings", shape.name);
    for (crest, script) in crest.iter().zip(&script) {
        assert_eq!(crest, script, "{}: crest, and the script", shape.name);
    }
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// By window and end.
fn rankings(output: &[u8]) -> Vec<Ranking<'_>> {
    let lines = output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut rankings: Vec<Ranking> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    rankings.iter_mut().for_each(|ranking| ranking.items.truncate(ROWS));
    rankings.sort_by(|a, b| (&a.window, a.window_end).cmp(&(&b.window, b.window_end)));
    rankings
}
