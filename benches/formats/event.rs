//! The text of an event of a layout, of random values and lengths.

use crate::shape::Layout;
use rand::RngExt;
use rand::rngs::StdRng;
use std::fmt::Write;

/// An event that happened, before it is laid out. Times are milliseconds since 1970.
pub struct Event {
    pub item: u64,
    pub time: i64,
}

/// A kind of values: texts of so many letters, numbers up to one, or a literal.
enum Value {
    Text(usize, usize),
    Number(u32),
    Literal(&'static str),
}
use Value::{Literal, Number, Text};

/// The fields beside the item and the time, in their order; longer events have them several times, numbered.
const FIELDS: [(&str, Value); 15] = [
    ("event_type", Literal("\"view\"")),
    ("user_id", Text(12, 24)),
    ("session_id", Text(32, 32)),
    ("price", Number(500_000)),
    ("quantity", Number(9)),
    ("currency", Literal("\"EUR\"")),
    ("device", Text(4, 12)),
    ("os", Text(3, 12)),
    ("browser", Text(8, 32)),
    ("app_version", Text(5, 8)),
    ("logged_in", Literal("true")),
    ("coupon", Literal("null")),
    ("page", Text(10, 60)),
    ("referrer", Text(16, 72)),
    ("campaign", Text(4, 24)),
];

impl Event {
    /// The event on one line, without its line feed: `bytes` long, unless what it must have is longer.
    pub fn text(&self, layout: Layout, bytes: usize, random: &mut StdRng) -> String {
        let (item, time) = (self.item, self.time);
        match layout {
            Layout::Flat => flat(&format!("product:{item}"), time, bytes, random),
            Layout::Escaped => flat(&format!(r#"\u00e9\"{item}"#), time, bytes, random),
            Layout::Envelope => envelope(&format!("product:{item}"), time, bytes, random),
            Layout::Call => call(&format!("product:{item}"), time, bytes, random),
        }
    }
}

fn flat(item: &str, time: i64, bytes: usize, random: &mut StdRng) -> String {
    let (item, time) = (format!(r#""item_id":"{item}""#), format!(r#""timestamp":{time}"#));
    let mut length = item.len() + time.len() + r#"{,,"region":""}"#.len();
    let mut fields = Vec::new();
    for n in 0.. {
        let (name, value) = &FIELDS[n % FIELDS.len()];
        let number = if n < FIELDS.len() { String::new() } else { (n / FIELDS.len() + 1).to_string() };
        let field = format!(r#""{name}{number}":{}"#, value.draw(random));
        if length + field.len() + 1 > bytes {
            break;
        }
        length += field.len() + 1;
        fields.push(field);
    }
    fields.insert(fields.len() / 4, item);
    fields.insert(fields.len() / 2, time);
    fields.push(format!(r#""region":"{}""#, letters(random, bytes.saturating_sub(length))));
    format!("{{{}}}", fields.join(","))
}

impl Value {
    fn draw(&self, random: &mut StdRng) -> String {
        match *self {
            Text(least, most) => format!("\"{}\"", word(random, least, most)),
            Number(most) => random.random_range(1..=most).to_string(),
            Literal(text) => text.into(),
        }
    }
}

fn envelope(item: &str, time: i64, bytes: usize, random: &mut StdRng) -> String {
    let (id, shop, category, customer) =
        (letters(random, 20), word(random, 4, 12), word(random, 4, 16), word(random, 8, 16));
    let (segment, city, price) = (word(random, 3, 9), word(random, 4, 14), random.random_range(1..100_000));
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/shops/{shop}","type":"com.example.viewed","time":{time},"#
    ) + &format!(
        r#""data":{{"product":{{"id":"{item}","category":["home","{category}"],"price":{{"amount":{price},"currency":"EUR"}}}},"#
    ) + &format!(
        r#""customer":{{"id":"{customer}","segment":"{segment}","address":{{"city":"{city}","country":"DE"}}}},"#
    ) + r#""cart":{"lines":3,"coupon":null},"consent":true}"#;
    padded(text, "traceparent", bytes, random)
}

fn call(item: &str, time: i64, bytes: usize, random: &mut StdRng) -> String {
    let mut text = format!(
        r#"{{"type":"track","event":"Product Viewed","messageId":"ajs-{}","userId":"{}","context":{{{}}},"#,
        letters(random, 24),
        word(random, 8, 16),
        context(random)
    );
    let (name, category, price) = (word(random, 4, 20), word(random, 4, 16), random.random_range(1..100_000));
    write!(
        text,
        r#""properties":{{"product_id":"{item}","name":"\"{name}\" \u2014 tasse","category":"{category}","#
    )
    .unwrap();
    write!(text, r#""price":{price},"quantity":2,"currency":"EUR","coupon":null,"seen":["#).unwrap();
    let rest = format!(r#"]}},"timestamp":{time},"integrations":{{"All":true,"Mail":{{"enabled":false}}}}"#);
    for n in 0.. {
        let (sku, name) = (random.random_range(1..1_000_000), word(random, 4, 20));
        let seen = format!(r#"{{"product_id":"product:{sku}","name":"\"{name}\"","position":{n}}}"#);
        if text.len() + seen.len() + rest.len() + 30 > bytes {
            break;
        }
        let comma = if n == 0 { "" } else { "," };
        write!(text, "{comma}{seen}").unwrap();
    }
    padded(text + &rest, "anonymousId", bytes, random)
}

/// What an analytics library says about the page and the visitor.
fn context(random: &mut StdRng) -> String {
    let (path, title, search) = (word(random, 4, 30), word(random, 4, 20), word(random, 3, 20));
    let (plan, mail, company) = (word(random, 3, 9), word(random, 5, 16), word(random, 4, 16));
    let page = format!(
        r#""page":{{"path":"\/produits\/{path}","title":"L\u2019\u00e9t\u00e9 \"{title}\" | Boutique","url":"https:\/\/www.example.com\/produits\/{path}","search":"?q={search}&utm_source=mail"}}"#
    );
    let traits = format!(
        r#""traits":{{"plan":"{plan}","email":"{mail}@example.com","company":{{"name":"Caf\u00e9 {company}","employees":12}}}}"#
    );
    let agent = r#""userAgent":"Mozilla\/5.0 (X11; Linux x86_64) AppleWebKit\/537.36 (KHTML, like Gecko) Chrome\/126.0"#;
    format!(
        r#""ip":"203.0.113.{}","locale":"fr-FR","library":{{"name":"analytics.js","version":"2.11.1"}},{page},{agent}","screen":{{"width":{},"height":{},"density":2}},{traits}"#,
        random.random_range(0..256),
        random.random_range(320..3840),
        random.random_range(480..2160)
    )
}

/// Ends an object with a text that brings it to its length.
fn padded(mut text: String, name: &str, bytes: usize, random: &mut StdRng) -> String {
    let missing = bytes.saturating_sub(text.len() + name.len() + r#","":""}"#.len());
    write!(text, r#","{name}":"{}"}}"#, letters(random, missing)).unwrap();
    text
}

fn word(random: &mut StdRng, least: usize, most: usize) -> String {
    let length = random.random_range(least..=most);
    letters(random, length)
}

fn letters(random: &mut StdRng, length: usize) -> String {
    (0..length).map(|_| random.random_range(b'a'..=b'z') as char).collect()
}
