//! DuckDB on one core, by Python: the sum of each pane, and one top K over the whole range.

use crate::input::Input;
use crate::shape::Layout;
use crate::windows::PANE;
use std::path::Path;
use std::process::Command;

/// Prints how many events it counted, and the seconds of processor time that it took from connecting on, so
/// without what starting Python takes.
const PROGRAM: &str = r#"
import duckdb, sys, time
file, columns, item, timestamp, pane = sys.argv[1:]
started = time.process_time()
base = duckdb.connect(config={"threads": 1, "preserve_insertion_order": False})
panes = f"""
    SELECT {timestamp} // {pane} AS pane, {item} AS item, count(*) AS count
    FROM read_json('{file}', format = 'newline_delimited', columns = {columns}) GROUP BY ALL"""
base.execute(f"CREATE TEMP TABLE panes AS {panes}")
base.execute("SELECT item, sum(count) AS total FROM panes GROUP BY item ORDER BY total DESC, item DESC LIMIT 100").fetchall()
took = time.process_time() - started
print(base.execute("SELECT sum(count) FROM panes").fetchone()[0], took)
"#;

/// The version that `python3` has, if it has one.
pub fn version() -> Option<String> {
    let output =
        Command::new("python3").args(["-c", "import duckdb; print(duckdb.__version__)"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The seconds of processor time that it takes.
pub fn run(layout: Layout, input: &Input) -> f64 {
    let (item, time) = layout.paths();
    let file: &Path = &input.events.file;
    let mut python = Command::new("python3");
    python.args(["-c", PROGRAM]).arg(file).args([layout.columns(), item, time, &PANE.to_string()]);
    let output = python.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let (count, seconds) = text.trim().split_once(' ').unwrap_or_else(|| {
        panic!("DuckDB failed: {}", String::from_utf8_lossy(&output.stderr));
    });
    assert_eq!(count.parse(), Ok(input.count), "DuckDB counts every event");
    seconds.parse().unwrap()
}
