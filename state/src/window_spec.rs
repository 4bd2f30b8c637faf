//! The windows of a board: spans that slide, units of the calendar, and the whole input.

use crate::against::Against;
use crate::calendar::{Calendar, Unit};
use std::sync::Arc;
use std::time::Duration;

/// A named window.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "WrittenWindow", into = "WrittenWindow")]
pub struct WindowSpec {
    /// Its name, in keys, URLs and JSON.
    pub name: Arc<str>,
    /// What it holds.
    pub extent: Extent,
    /// What each of its ends is compared with, so that what rises is published beside what is on top.
    pub rising: Vec<Against>,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A span that slides by whole panes.
    Sliding {
        /// The length of the window: a whole number of panes.
        size: Duration,
        /// The time between two ends of the window: a whole number of panes, at most the size. A tumbling window's slide
        /// is its size.
        slide: Duration,
    },
    /// What has come of a unit of the calendar: it grows from where the unit begins, and starts anew with the next.
    Calendar {
        /// The unit, in its time zone.
        calendar: Calendar,
        /// The time between two ends of the window: a whole number of panes.
        slide: Duration,
    },
    /// The whole of a bounded input, with the events that are late for panes.
    Whole,
}

/// A window that has ends while the input goes on.
#[derive(Clone, Copy, Debug)]
pub struct Sliding<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// Its length; the most that it can be, where the calendar says.
    pub size: Duration,
    /// The time between two of its ends.
    pub slide: Duration,
    /// The unit of the calendar that it is of, if it is.
    pub calendar: Option<Calendar>,
}

/// A window as it is written: one of a name alone is of the whole input.
#[derive(serde::Serialize, serde::Deserialize)]
struct WrittenWindow {
    name: Arc<str>,
    #[serde(default, with = "crate::duration::optional", skip_serializing_if = "Option::is_none")]
    size: Option<Duration>,
    #[serde(default, with = "crate::duration::optional", skip_serializing_if = "Option::is_none")]
    slide: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calendar: Option<Unit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rising: Vec<Against>,
}

impl From<WindowSpec> for WrittenWindow {
    fn from(window: WindowSpec) -> Self {
        let (size, slide) = match window.extent {
            Extent::Sliding { size, slide } => (Some(size), Some(slide)),
            Extent::Calendar { slide, .. } => (None, Some(slide)),
            Extent::Whole => (None, None),
        };
        let calendar = window.calendar();
        WrittenWindow {
            name: window.name,
            size,
            slide,
            calendar: calendar.map(|calendar| calendar.unit()),
            timezone: calendar.map(|calendar| calendar.zone().to_owned()),
            rising: window.rising,
        }
    }
}

impl TryFrom<WrittenWindow> for WindowSpec {
    type Error = &'static str;

    fn try_from(written: WrittenWindow) -> Result<Self, Self::Error> {
        let calendar = match (written.calendar, written.timezone) {
            (Some(unit), Some(zone)) => {
                Some(Calendar::new(unit, &zone).map_err(|_| "a window's time zone is unknown")?)
            }
            (None, None) => None,
            _ => return Err("a window has both a calendar and a timezone, or neither"),
        };
        let extent = match (written.size, written.slide, calendar) {
            (Some(size), Some(slide), None) => Extent::Sliding { size, slide },
            (None, Some(slide), Some(calendar)) => Extent::Calendar { calendar, slide },
            (None, None, None) => Extent::Whole,
            _ => return Err("a window has both a size and a slide, or a calendar and a slide, or none"),
        };
        Ok(WindowSpec { name: written.name, extent, rising: written.rising })
    }
}

impl WindowSpec {
    /// The windows of a board that configures none: `last_1m` and `last_1h`, which slide by a pane, and
    /// `last_24h`, which slides by a minute.
    pub fn defaults(pane: Duration) -> Vec<WindowSpec> {
        let minute = Duration::from_secs(60);
        vec![
            WindowSpec::sliding("last_1m", minute, pane),
            WindowSpec::sliding("last_1h", 60 * minute, pane),
            WindowSpec::sliding("last_24h", 24 * 60 * minute, minute),
        ]
    }

    /// A window that slides.
    pub fn sliding(name: &str, size: Duration, slide: Duration) -> Self {
        WindowSpec { name: name.into(), extent: Extent::Sliding { size, slide }, rising: Vec::new() }
    }

    /// A window of a unit of the calendar.
    pub fn calendar_unit(name: &str, calendar: Calendar, slide: Duration) -> Self {
        WindowSpec { name: name.into(), extent: Extent::Calendar { calendar, slide }, rising: Vec::new() }
    }

    /// A window of the whole of a bounded input.
    pub fn whole(name: &str) -> Self {
        WindowSpec { name: name.into(), extent: Extent::Whole, rising: Vec::new() }
    }

    /// Whether it is of the whole input.
    pub fn is_whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    /// The size and the slide; `None` for a window of the calendar or of the whole input.
    pub fn size_and_slide(&self) -> Option<(Duration, Duration)> {
        match self.extent {
            Extent::Sliding { size, slide } => Some((size, slide)),
            Extent::Calendar { .. } | Extent::Whole => None,
        }
    }

    /// The size; `None` for a window of the calendar or of the whole input.
    pub fn size(&self) -> Option<Duration> {
        self.size_and_slide().map(|(size, _)| size)
    }

    /// The unit of the calendar that it is of, if it is.
    pub fn calendar(&self) -> Option<Calendar> {
        match self.extent {
            Extent::Calendar { calendar, .. } => Some(calendar),
            Extent::Sliding { .. } | Extent::Whole => None,
        }
    }

    /// How it slides; `None` for a window of the whole input.
    pub fn sliding_window(&self) -> Option<Sliding<'_>> {
        let name = &self.name;
        match self.extent {
            Extent::Sliding { size, slide } => Some(Sliding { name, size, slide, calendar: None }),
            Extent::Calendar { calendar, slide } => {
                Some(Sliding { name, size: calendar.longest(), slide, calendar: Some(calendar) })
            }
            Extent::Whole => None,
        }
    }
}
