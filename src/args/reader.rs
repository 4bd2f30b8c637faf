//! The options of the verbs that ask a running job, or a node that serves rankings, by its HTTP API.

use clap::{Args, ValueEnum};

/// Who is asked, and for which board and group.
#[derive(Clone, Debug, Args)]
pub struct ReaderArgs {
    /// The server (its variable: CREST_URL)
    #[arg(long, value_name = "URL", env = "CREST_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The token of a server that wants one (its variable: CREST_TOKEN, which other processes cannot see)
    #[arg(long, value_name = "TOKEN", env = "CREST_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The board [default: the server's first]
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// A dimension's value, for all dimensions of the board; repeatable [default: the whole board]
    #[arg(long, value_name = "NAME=VALUE", value_parser = dimension)]
    pub group: Vec<(String, String)>,
}

/// What a ranking is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RankedBy {
    /// The count.
    Count,
    /// How much the count has risen.
    Rise,
}

/// The options of `crest top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Who is asked for what.
    #[command(flatten)]
    pub reader: ReaderArgs,
    /// The window, by its name or its size [default: the board's first]
    #[arg(long, value_name = "NAME")]
    pub window: Option<String>,
    /// How many rows [default: 10]
    #[arg(short, value_name = "N")]
    pub k: Option<usize>,
    /// Rank by the count, or by how much it has risen, for which the server needs a state
    #[arg(long, value_name = "WHAT", value_enum, default_value = "count")]
    pub by: RankedBy,
    /// With --by rise: compare with the window before (previous), or with one so much earlier, such as 1d [default: previous]
    #[arg(long, value_name = "TIME")]
    pub against: Option<String>,
    /// Go on, with every new ranking
    #[arg(long)]
    pub watch: bool,
    /// Print lines of JSON, as the API says them
    #[arg(long)]
    pub json: bool,
}

/// The options of `crest item`.
#[derive(Clone, Debug, Args)]
pub struct ItemArgs {
    /// The item's id, as rankings show it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Who is asked for what.
    #[command(flatten)]
    pub reader: ReaderArgs,
    /// The window, by its name or its size, or any other multiple of a pane, such as 3h, where there is a state
    /// [default: the board's first]
    #[arg(long, value_name = "NAME")]
    pub window: Option<String>,
    /// How long the steps of its history are, such as 10m [default: as suits the window]
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
    /// Print one line of JSON, as the API says it; with --step, its points too
    #[arg(long)]
    pub json: bool,
}

/// A dimension and its value, as they are typed.
fn dimension(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("must be NAME=VALUE, such as region=IN")?;
    Ok((name.to_owned(), value.to_owned()))
}
