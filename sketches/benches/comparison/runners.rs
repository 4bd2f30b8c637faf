//! The ways to keep a day's window: a running sum of digests, merging all of it anew, exact addition and subtraction.

use crate::clock::{median, timed};
use crate::contenders::{Contender, Counts, Sketch, add, add_all, bytes_of_counts};
use crate::judge::{Answer, K};
use crate::streams::Stream;
use crate::windows::{Window, all_items, ours};
use crest_sketches::{Digest, Kind, Merged, Shape, WindowSum};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hint::black_box;

/// Slides that are timed.
pub const SLIDES: u64 = 50;
/// Rows of a minute's digest, as the job's.
const ROWS: usize = 1024;
/// A window that is merged anew for each slide is timed this often.
const REMERGES: u64 = 3;

/// Someone who keeps a day's window.
pub trait Day {
    /// Takes in the next minute; from number `day` on, the oldest one goes.
    fn minute(&mut self, number: u64, day: u64, events: &Stream);

    /// What it says of the window, by which way it was built.
    fn answers(&self) -> Vec<(String, Answer)>;

    fn cost(&self) -> Cost;
}

/// Of a slide.
pub struct Cost {
    pub name: String,
    /// `None` of what cannot list any.
    pub candidates: Option<usize>,
    pub megabytes: f64,
    /// Milliseconds, as all times here; medians.
    pub slide: f64,
    pub top: Option<f64>,
    pub provisional: Option<f64>,
}

fn milliseconds<T>(work: impl FnOnce() -> T) -> f64 {
    timed(work).0 / 1e6
}

/// Ours: a [`WindowSum`].
pub struct Running {
    shape: Shape,
    window: WindowSum,
    /// Of the first day, to be merged uncut.
    digests: Vec<Digest>,
    slides: Vec<f64>,
    tops: Vec<f64>,
    provisionals: Vec<f64>,
}

impl Running {
    pub fn new(shape: Shape) -> Self {
        let (window, digests) = (WindowSum::new(), Vec::new());
        Running { shape, window, digests, slides: Vec::new(), tops: Vec::new(), provisionals: Vec::new() }
    }

    fn is_classic(&self) -> bool {
        self.shape.kind() == Kind::Classic
    }

    fn digest(&self, events: &Stream) -> Digest {
        let mut sketch = Contender::Ours(self.shape.clone()).start();
        sketch.count_all(events.all());
        let mut merged = Merged::new(&self.shape);
        merged.add(ours(&sketch));
        merged.cut(ROWS)
    }
}

impl Day for Running {
    fn minute(&mut self, number: u64, day: u64, events: &Stream) {
        let next = self.digest(events);
        let Some(expired) = (number + 1).checked_sub(day).filter(|&expired| expired > 0) else {
            self.window.push(number, &next);
            if !self.is_classic() {
                self.digests.push(next);
            }
            return;
        };
        let window = &mut self.window;
        self.provisionals.push(milliseconds(|| window.rank_provisional(expired, &[&next], K)));
        self.slides.push(milliseconds(|| {
            window.push(number, &next);
            window.expire(expired);
        }));
        self.tops.push(milliseconds(|| window.rank(K)));
    }

    fn answers(&self) -> Vec<(String, Answer)> {
        let sum = Answer::of_ranking(&self.window.rank(usize::MAX), &self.window.rank(K));
        let name = Contender::Ours(self.shape.clone()).name();
        if self.is_classic() {
            return vec![(name, sum)];
        }
        let uncut = Digest::merge(&self.digests);
        let uncut = Answer::of_ranking(&uncut.rank(usize::MAX), &uncut.rank(K));
        vec![(format!("{name}, running sum"), sum), (format!("{name}, merged uncut"), uncut)]
    }

    fn cost(&self) -> Cost {
        Cost {
            name: Contender::Ours(self.shape.clone()).name(),
            candidates: Some(self.window.rank(usize::MAX).rows.len()),
            megabytes: self.window.bytes() as f64 / 1e6,
            slide: median(self.slides.clone()),
            top: Some(median(self.tops.clone())),
            provisional: Some(median(self.provisionals.clone())),
        }
    }
}

/// What has no subtraction: a slide merges all minutes into a new window.
pub struct Remerged {
    contender: Contender,
    minutes: VecDeque<Window>,
    /// As of the last slide.
    window: Window,
    slides: Vec<f64>,
    tops: Vec<f64>,
}

impl Remerged {
    pub fn new(contender: &Contender) -> Self {
        let (contender, window) = (contender.clone(), Window::of(contender));
        Remerged { contender, minutes: VecDeque::new(), window, slides: Vec::new(), tops: Vec::new() }
    }

    fn merged(&self) -> Window {
        let mut window = Window::of(&self.contender);
        self.minutes.iter().for_each(|minute| window.merge(minute));
        window
    }
}

impl Day for Remerged {
    fn minute(&mut self, number: u64, day: u64, events: &Stream) {
        let mut sketch = self.contender.start();
        sketch.count_all(events.all());
        self.minutes.push_back(match sketch {
            Sketch::FrequentItems(sketch) => Window::FrequentItems(sketch),
            Sketch::CountMin(sketch) => Window::CountMin(sketch),
            _ => panic!("a sketch that is not merged anew"),
        });
        if number >= day {
            self.minutes.pop_front();
        }
        if number + REMERGES >= day + SLIDES {
            let (took, window) = timed(|| self.merged());
            self.window = window;
            self.slides.push(took / 1e6);
            if let Window::FrequentItems(window) = &self.window {
                self.tops.push(milliseconds(|| all_items(window)));
            }
        }
    }

    fn answers(&self) -> Vec<(String, Answer)> {
        match self.merged() {
            Window::FrequentItems(window) => {
                let answer = Answer::of_items(&all_items(&window), window.maximum_error());
                vec![(self.contender.name(), answer)]
            }
            _ => Vec::new(),
        }
    }

    fn cost(&self) -> Cost {
        let bytes = self.window.bytes() + self.minutes.iter().map(Window::bytes).sum::<usize>();
        let items = match &self.window {
            Window::FrequentItems(window) => Some(window.num_active_items()),
            _ => None,
        };
        Cost {
            name: format!("{}, merged anew", self.contender.name()),
            candidates: items,
            megabytes: bytes as f64 / 1e6,
            slide: median(self.slides.clone()),
            top: (!self.tops.is_empty()).then(|| median(self.tops.clone())),
            provisional: None,
        }
    }
}

/// A map of the window, and those of its minutes.
pub struct Exact {
    window: Counts,
    /// Only those that will be subtracted; the others are counted, and dropped.
    leaving: VecDeque<Counts>,
    bytes_of_minutes: usize,
    minutes: usize,
    slides: Vec<f64>,
    tops: Vec<f64>,
}

impl Exact {
    pub fn new() -> Self {
        Exact {
            window: Counts::new(),
            leaving: VecDeque::new(),
            bytes_of_minutes: 0,
            minutes: 0,
            slides: Vec::new(),
            tops: Vec::new(),
        }
    }
}

/// Takes out all counts of another map.
fn subtract(window: &mut Counts, minute: &Counts) {
    for (key, count) in minute {
        let Some(left) = window.get_mut(key) else { continue };
        *left -= count;
        if *left == 0 {
            window.remove(key);
        }
    }
}

impl Day for Exact {
    fn minute(&mut self, number: u64, day: u64, events: &Stream) {
        let mut next = Counts::new();
        events.all().events().for_each(|(key, weight)| add(&mut next, key.as_bytes(), weight.into()));
        if number < day {
            add_all(&mut self.window, &next);
            self.bytes_of_minutes += bytes_of_counts(&next);
            self.minutes += 1;
            if number < SLIDES {
                self.leaving.push_back(next);
            }
            return;
        }
        let Some(expired) = self.leaving.pop_front() else { return };
        self.slides.push(milliseconds(|| {
            add_all(&mut self.window, &next);
            subtract(&mut self.window, &expired);
        }));
        if number + REMERGES >= day + SLIDES {
            self.tops.push(milliseconds(|| {
                let mut rows: Vec<_> = self.window.iter().collect();
                rows.select_nth_unstable_by_key(K, |(_, count)| Reverse(**count));
                rows.truncate(K);
                rows.sort_unstable_by_key(|(_, count)| Reverse(**count));
                black_box(rows.len())
            }));
        }
    }

    fn answers(&self) -> Vec<(String, Answer)> {
        Vec::new()
    }

    fn cost(&self) -> Cost {
        Cost {
            name: Contender::Exact.name(),
            candidates: Some(self.window.len()),
            megabytes: (bytes_of_counts(&self.window) + self.bytes_of_minutes) as f64 / 1e6,
            slide: median(self.slides.clone()),
            top: Some(median(self.tops.clone())),
            provisional: None,
        }
    }
}
