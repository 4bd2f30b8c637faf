//! How each value was given: by which flag, variable or key of the file, so that a refusal can name it.

use super::error::SettingsError;
use crate::args::RunArgs;
use crest_state::check::SpecError;

/// A value with the key that it was given under.
pub struct Keyed<T = String> {
    /// `--pane`, `CREST_PANE` or `crest.toml: time.pane`.
    pub key: String,
    /// As it was given.
    pub value: T,
}

/// Knows how each value was given, so that a refusal can name it.
pub struct Keys<'a> {
    /// What was typed.
    pub run: &'a RunArgs,
}

impl Keys<'_> {
    /// The key of a flag, by its field's name: `--idle-timeout`, or `CREST_IDLE_TIMEOUT` where that gave it.
    pub fn flag(&self, id: &str) -> String {
        match id {
            id if self.run.from_environment.contains(id) => format!("CREST_{}", id.to_uppercase()),
            "k" => "-k".into(),
            id => format!("--{}", id.replace('_', "-")),
        }
    }

    /// The key of a value of the file: `crest.toml: time.pane`.
    pub fn in_file(&self, key: &str) -> String {
        match &self.run.config {
            Some(path) => format!("{}: {key}", path.display()),
            None => key.into(),
        }
    }

    /// The flag's value, or else the file's.
    pub fn given<T>(&self, id: &str, flag: Option<T>, key: &str, file: Option<T>) -> Option<Keyed<T>> {
        let flag = flag.map(|value| Keyed { key: self.flag(id), value });
        flag.or_else(|| file.map(|value| Keyed { key: self.in_file(key), value }))
    }

    /// A refusal of the resolved job, under the key that its value was given by.
    pub fn as_given(&self, error: SpecError) -> SettingsError {
        let run = self.run;
        let windows = error.key.starts_with("board.") && error.key.contains(".window");
        let flag = match error.key.strip_prefix("time.") {
            Some(id) => self
                .time_flags()
                .into_iter()
                .find(|(name, value)| *name == id && value.is_some())
                .map(|f| f.0),
            None if windows && !run.window.is_empty() => Some("window"),
            None if error.key.ends_with(".k") && run.k.is_some() => Some("k"),
            None => None,
        };
        let key = match flag {
            Some("window") => format!("{} ({})", self.flag("window"), error.key),
            Some(id) => self.flag(id),
            None => self.in_file(&error.key),
        };
        SettingsError::Refused { key, value: error.value, allowed: error.allowed }
    }

    /// The flags of event time, by the names of their fields.
    pub fn time_flags(&self) -> [(&'static str, &Option<String>); 6] {
        let run = self.run;
        [
            ("pane", &run.pane),
            ("out_of_orderness", &run.out_of_orderness),
            ("allowed_lateness", &run.allowed_lateness),
            ("idle_timeout", &run.idle_timeout),
            ("max_future_skew", &run.max_future_skew),
            ("refresh", &run.refresh),
        ]
    }
}
