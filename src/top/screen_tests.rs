//! The live view, drawn at several sizes.

use super::super::feed::News;
use super::super::keys::Action;
use super::super::model::{Board, Met, Query, Status, Window};
use super::super::table::tests_support::ranking;
use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

type Row<'a> = (&'a str, u64, u64, Option<i32>);

const ROWS: [Row<'static>; 4] = [
    ("product:abc123", 5312, 5312, Some(2)),
    ("東京タワー🎉", 4000, 4012, Some(-1)),
    ("\u{1b}[31mred\u{202e}", 99, 99, None),
    ("plain", 40, 80, Some(0)),
];

fn view(rows: &[Row<'_>]) -> View {
    let window = |name: &str| Window { name: name.into() };
    let windows = vec![window("last_1m"), window("last_1h")];
    let board = Board { name: "videos".into(), k: 100, by: Vec::new(), windows };
    let window = Some("last_1h".into());
    let query = Query { board: "videos".into(), window, k: 10, group: Vec::new() };
    let mut view = View::new(vec![board], query);
    view.update(News::Connected);
    view.update(News::Status(Status {
        events_per_second: Some(1034.4),
        watermark_lag_ms: Some(6000),
        late: Some(12),
        refused: Some(3),
        ..Status::default()
    }));
    view.update(News::Ranking(Box::new(ranking(rows)), String::new()));
    view
}

fn drawn(view: &mut View, columns: u16, lines: u16, coloured: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| draw(view, Paint::new(coloured), frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of each line. A wide character's second cell holds nothing.
fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let line = |y| {
        let mut text = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            text.push_str(symbol);
            x += width(symbol).max(1) as u16;
        }
        text.trim_end().to_owned()
    };
    (0..area.height).map(line).collect()
}

/// Where a text begins in a line, in columns.
fn column(line: &str, text: &str) -> usize {
    width(&line[..line.find(text).unwrap_or_else(|| panic!("{text:?} is not in {line:?}"))])
}

#[test]
fn at_80_by_24_all_of_it_is_there_and_aligned() {
    let mut view = view(&ROWS);
    let all = lines(&drawn(&mut view, 80, 24, true));
    assert!(all[0].starts_with("videos last_1h") && all[0].contains("provisional · "), "{}", all[0]);
    assert!(all[1].starts_with("09:15:00 – 10:15:00 UTC · total 91,234 · top 10"), "{}", all[1]);
    let head = &all[3];
    for name in ["#", "item", "count", "less", "history"] {
        assert!(head.contains(name), "{name} is not in {head:?}");
    }
    let expected = [("▲2", "product:abc123", "5,312"), ("▼1", "東京タワー🎉", "4,012")];
    for (row, (change, item, count)) in all[4..6].iter().zip(expected) {
        assert!(row.contains(change), "{row}");
        assert_eq!(column(row, item), column(head, "item"), "{row}");
        assert_eq!(column(row, count), column(head, "count"), "{row}");
    }
    assert!(all[5].contains("−12") && all[5].contains('█'), "{}", all[5]);
    assert!(all[6].contains("new") && all[6].contains("\\u{1b}[31mred\\u{202e}"), "{}", all[6]);
    assert!(all[7].contains(" – "), "{}", all[7]);
    assert!(all[8].trim_start().starts_with("(all others)") && all[8].contains("81,783"), "{}", all[8]);
    assert_eq!(all[22], "● live  1,034 events/s  lag 6.0 s  late 12  refused 3");
    assert!(all[23].starts_with("? help  q quit"), "{}", all[23]);
}

#[test]
fn at_40_by_10_the_rows_come_first() {
    let mut view = view(&ROWS);
    let all = lines(&drawn(&mut view, 40, 10, true));
    assert!(all[0].starts_with("videos last_1h") && all[0].contains("provisional"), "{}", all[0]);
    let row = all.iter().find(|line| line.contains("product:abc")).unwrap();
    assert!(row.contains("5,312") && row.contains("▲2"), "{row}");
    assert!(all.iter().any(|line| line.contains("plain")), "{all:?}");
    assert!(all[8].starts_with("● live  1,034 events/s"), "{}", all[8]);
}

#[test]
fn no_size_is_too_small_and_no_cell_holds_what_a_terminal_obeys() {
    let long = "x".repeat(1024);
    let tall = "e\u{301}\u{301}\u{301}\u{301}".repeat(40);
    let rows: [Row<'_>; 4] = [
        (&long, u64::MAX, u64::MAX, Some(i32::MIN)),
        (&tall, 7, 9, Some(1)),
        ("\u{1b}]0;title\u{7}\r\n\u{9b}2J\u{2066}", 3, 4, None),
        ("👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}", 0, 1, None),
    ];
    let mut view = view(&rows);
    for lines in 1..30 {
        for columns in (1..30).chain([40, 60, 80, 100, 200]) {
            for help in [false, true] {
                view.help = help;
                let buffer = drawn(&mut view, columns, lines, true);
                let obeyed = |cell: &&ratatui::buffer::Cell| shown(cell.symbol()) != cell.symbol();
                // A mark alone in a cell has lost its character; it stands on the one before.
                assert_eq!(buffer.content.iter().find(obeyed), None, "{columns}x{lines}");
            }
        }
    }
}

#[test]
fn what_went_up_is_green_what_may_be_less_is_lighter_and_without_colours_neither() {
    let mut view = view(&ROWS);
    let buffer = drawn(&mut view, 100, 24, true);
    let all = lines(&buffer);
    let cell = |y: u16, text: &str| &buffer[(column(&all[usize::from(y)], text) as u16, y)];
    assert_eq!(
        (cell(4, "▲2").fg, cell(5, "▼1").fg, cell(6, "new").fg),
        (Color::Green, Color::Red, Color::Cyan)
    );
    assert_eq!(cell(4, "█").fg, Color::Cyan);
    view.update(News::Ranking(
        Box::new(ranking(&[("a", 100, 100, None), ("b", 30, 80, None)])),
        String::new(),
    ));
    let buffer = drawn(&mut view, 100, 24, true);
    let gray = |y: u16| (0..100).filter(|x| buffer[(*x, y)].fg == Color::DarkGray).count();
    assert_eq!(gray(4), 0, "an exact row has no lighter part");
    assert!((15..=22).contains(&gray(5)), "half of the longest bar: {}", gray(5));

    let plain = drawn(&mut view, 100, 24, false);
    let colours = plain.content.iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
    assert_eq!(colours.count(), 0);
}

#[test]
fn rows_that_are_not_certain_are_told_from_those_that_are() {
    let mut view = view(&ROWS);
    view.ranking.as_mut().unwrap().0.snapshot.guaranteed = 2;
    let buffer = drawn(&mut view, 80, 24, true);
    let all = lines(&buffer);
    assert!(all[1].contains("first 2 certain"), "{}", all[1]);
    let bold = |y: u16| {
        let place = column(&all[3], "item") as u16;
        buffer[(place, y)].modifier.contains(Modifier::BOLD)
    };
    assert_eq!([4, 5, 6].map(bold), [true, true, false]);
}

#[test]
fn more_rows_than_fit_are_scrolled() {
    let ids: Vec<String> = (0..50).map(|n| format!("item-{n:02}")).collect();
    let rows: Vec<Row<'_>> =
        ids.iter().zip(0..).map(|(id, n)| (id.as_str(), 1000 - n, 1000 - n, None)).collect();
    let mut view = view(&rows);
    view.query.k = 50;
    let first = |view: &mut View| {
        let all = lines(&drawn(view, 80, 24, true));
        let row = all.iter().find(|line| line.contains("item-")).unwrap();
        (row[row.find("item-").unwrap()..].chars().take(7).collect::<String>(), all[23].clone())
    };
    assert_eq!(first(&mut view).0, "item-00");
    view.act(Action::Scroll(3));
    let (item, keys) = first(&mut view);
    assert!(item == "item-03" && keys.starts_with("4–20 of 50"), "{item} {keys}");
    view.act(Action::Page(1));
    assert_eq!(first(&mut view).0, "item-20");
    view.act(Action::Scroll(isize::MAX));
    assert_eq!(first(&mut view).0, "item-34", "the last line is that of all others");
    view.act(Action::Scroll(isize::MIN));
    assert_eq!(first(&mut view).0, "item-00");
}

#[test]
fn it_says_what_it_waits_for_and_keeps_what_it_has() {
    let mut view = view(&ROWS);
    view.update(News::Lost("http://h does not answer".into()));
    let all = lines(&drawn(&mut view, 80, 24, true)).join("\n");
    assert!(all.contains("connection lost") && all.contains("product:abc123"), "{all}");
    view.ranking = None;
    let all = lines(&drawn(&mut view, 80, 24, true)).join("\n");
    assert!(all.contains("http://h does not answer") && all.contains("videos last_1h"), "{all}");
    view.update(News::Connected);
    assert!(lines(&drawn(&mut view, 80, 24, true)).join("\n").contains("waiting for the first ranking"));
    view.update(News::Ranking(Box::new(ranking(&[])), String::new()));
    assert!(lines(&drawn(&mut view, 80, 24, true)).join("\n").contains("nothing was counted"));
    let met = Met { why_empty: Some("read 9 records, counted none: 9 on no board\u{1b}".into()) };
    let boards = [("videos".to_owned(), met)].into();
    view.update(News::Status(Status { boards, ..Status::default() }));
    let why = "read 9 records, counted none: 9 on no board\\u{1b}";
    assert!(lines(&drawn(&mut view, 80, 24, true)).join("\n").contains(why));
    view.ranking = None;
    let all = lines(&drawn(&mut view, 80, 24, true)).join(" ");
    assert!(all.contains("there is no ranking yet: read 9 records"), "{all}");
    view.act(Action::Pause);
    view.act(Action::Help);
    let all = lines(&drawn(&mut view, 80, 24, true)).join("\n");
    assert!(all.contains("held still") && all.contains("the next board"), "{all}");
}
