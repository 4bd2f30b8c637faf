//! Records, paths and damage that are drawn at random.

use super::{expected, found};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// White space, mostly none.
fn space() -> impl Strategy<Value = String> {
    select(vec!["", "", "", "", "", " ", "\n", "\t", "\r\n", "   "]).prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> {
    select(vec![
        "a",
        "b",
        "key",
        "a.b",
        "é",
        "\\u0061",
        "k\\u0065y",
        "a[0]",
        "",
        "\\n",
        "\\ud83d",
        "longer than eight bytes",
    ])
    .prop_map(|name| format!("\"{name}\""))
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => select(vec!["a", "b", "", "x y", "é", "😀", "{", "]", ",", ":"]).prop_map(str::to_owned),
        1 => select(vec!["\\n", "\\\"", "\\\\", "\\u0061", "\\ud83d\\ude00", "\\ud83d", "\\/"]).prop_map(str::to_owned),
        1 => "[a-z]{0,70}",
    ];
    vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text(),
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "-1",
            "12.50",
            "1e5",
            "-0.0E-7",
            "1e999",
            "18446744073709551616"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 5, |inner| {
        let spaced =
            |inner: BoxedStrategy<String>| (space(), inner, space()).prop_map(|(a, b, c)| a + &b + &c);
        let member = (space(), name(), space(), spaced(inner.clone().boxed()))
            .prop_map(|(a, name, b, value)| format!("{a}{name}{b}:{value}"));
        prop_oneof![
            2 => vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => vec(spaced(inner.boxed()), 0..5).prop_map(|elements| format!("[{}]", elements.join(","))),
        ]
    })
}

fn path() -> impl Strategy<Value = String> {
    let first = select(vec!["a", "b", "key", "$.a", "$.key", "@.b", "['a.b']", "é", "$", "@"]);
    let step =
        select(vec![".a", ".b", ".key", "[0]", "[-1]", "[*]", "[?@.key=='a']", "['a.b']", "[?@.a.b==\"b\"]"]);
    (first, vec(step, 0..4)).prop_map(|(first, steps)| first.to_owned() + &steps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_finds_what_a_plain_walk_finds(
        record in json(),
        names in vec(path(), 1..5),
        each in proptest::option::of(path()),
    ) {
        let (record, each) = (record.as_bytes(), each.as_deref());
        prop_assert_eq!(found(record, each, &names), expected(record, each, &names));
    }

    #[test]
    fn it_refuses_what_a_plain_walk_refuses(
        record in json(),
        names in vec(path(), 1..3),
        damage in vec((any::<Index>(), prop_oneof![
            any::<u8>(), select(b"{}[]\",:\\ \n0eE.-tfnu\x80\x1f".to_vec())
        ], any::<bool>()), 0..3),
    ) {
        let mut record = record.into_bytes();
        for (place, byte, insert) in damage {
            let place = place.index(record.len() + 1);
            if insert || place == record.len() {
                record.insert(place, byte);
            } else {
                record[place] = byte;
            }
        }
        prop_assert_eq!(found(&record, None, &names), expected(&record, None, &names));
    }

    #[test]
    fn it_refuses_bytes_that_are_no_json(record in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(found(&record, None, &["a".into()]), expected(&record, None, &["a".into()]));
    }
}
