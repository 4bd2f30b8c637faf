//! The effective configuration, as a file that would give it again (secrets aside).

use super::secrets::without_secrets_of;
use super::{ChangesSettings, ClusterAccess, HttpSettings, IngestTo, Settings, Shard};
use crate::file::{
    ArchiveSection, BoardSection, ChangesSection, ClusterSection, CountOf, DistinctSection, File,
    HttpSection, LimitsSection, OneOrMore, Property, SchemaSection, ShardSection, SketchSection,
    SnapshotsSection, SourceSection, StateSection, Switch, TelemetrySection, TimeSection, TokensSection,
    WindowSection,
};
use crate::http::{Policy, Token};
use crate::telemetry::Options;
use axum::http::HeaderValue;
use crest_connectors::selection::Selection;
use crest_connectors::{Framing, Start};
use crest_state::retention::Retention;
use crest_state::spec::{BoardSpec, Count, Engine, Filter, JobSpec, SketchKind, Ties, WindowSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn written(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn written_start(start: &Start) -> String {
    match start {
        Start::Earliest => "earliest".into(),
        Start::Latest => "latest".into(),
        Start::Time(ms) => ms.to_string(),
        Start::Offsets(_) | Start::TopicOffsets(_) => start.offsets().join(","),
    }
}

fn properties(all: &BTreeMap<String, String>) -> BTreeMap<String, Property> {
    all.iter().map(|(name, value)| (name.clone(), Property::Text(value.clone()))).collect()
}

fn shard_section(shard: &Shard) -> ShardSection {
    let names = |names: &BTreeSet<String>| {
        (!names.is_empty()).then(|| OneOrMore::from(names.iter().cloned().collect::<Vec<_>>()))
    };
    let Selection { boards, windows, groups, whole } = &shard.selection;
    let values = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().into();
    ShardSection {
        url: shard.url.to_string(),
        boards: names(boards),
        windows: names(windows),
        groups: groups.iter().map(|(dimension, all)| (dimension.clone(), values(all))).collect(),
        whole: (!whole).then_some(false),
    }
}

fn changes_section(changes: &ChangesSettings) -> ChangesSection {
    let ChangesSettings { watch, to, secret } = changes;
    let Selection { boards, windows, groups, whole } = &watch.selection;
    let first = |names: &BTreeSet<String>| names.first().cloned().unwrap_or_default();
    let values = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().into();
    ChangesSection {
        name: Some(watch.name.clone()),
        board: first(boards),
        window: first(windows),
        k: Some(watch.k),
        groups: groups.iter().map(|(dimension, all)| (dimension.clone(), values(all))).collect(),
        whole: (!whole).then_some(false),
        certain: watch.certain.then_some(true),
        to: to.to_string(),
        secret: secret.as_ref().map(|_| "***".to_owned()),
        secret_file: None,
    }
}

impl Settings {
    /// As TOML. What a file cannot say, since it differs by process, comes first as a comment.
    ///
    /// # Errors
    /// None that a resolved configuration is known to cause.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let shape = &self.shape;
        let mut text =
            format!("# process {} of {}, workers in each: {}", shape.process, shape.processes, shape.workers);
        if let Some(path) = &self.rejects {
            text += &format!("; rejects go to {}", path.display());
        }
        if let Some(path) = &self.summary {
            text += &format!("; the summary goes to {}", path.display());
        }
        text += "\n\n";
        text += &toml::to_string(&self.to_file())?;
        Ok(text)
    }

    /// As a file that would give them again, secrets aside.
    pub fn to_file(&self) -> File {
        let urls: Vec<String> = self.snapshots.urls.iter().map(ToString::to_string).collect();
        without_secrets_of(File {
            source: self.source_section(),
            time: self.time_section(),
            sketch: sketch_section(&self.spec),
            state: self.state_section(),
            archive: self.archive_section(),
            snapshots: SnapshotsSection {
                url: Some(urls.into()),
                key_prefix: Some(self.snapshots.key_prefix.clone()),
                ttl: self.snapshots.ttl.map(written),
                empty: self.spec.empty.then_some(true),
                kafka: properties(&self.snapshots.kafka),
                shard: self.snapshots.shards.iter().map(shard_section).collect(),
            },
            changes: self.snapshots.changes.iter().map(changes_section).collect(),
            http: http_section(&self.http),
            cluster: self.cluster_section(),
            telemetry: self.telemetry.as_ref().map(telemetry_section).unwrap_or_default(),
            schema: schema_section(&self.spec),
            board: self.spec.boards.iter().map(board_section).collect(),
        })
    }

    fn source_section(&self) -> SourceSection {
        let source = &self.source;
        SourceSection {
            url: Some(source.url.to_string()),
            group_id: source.group_id.clone(),
            start: source.start.as_ref().map(written_start),
            on_gap: source.url.is_log().then(|| source.on_gap.to_string()),
            // The framing of CSV follows from its format.
            framing: match source.framing {
                Framing::Csv { .. } => None,
                framing => source.url.is_stream().then(|| framing.to_string()),
            },
            compression: source.url.is_stream().then(|| source.compression.to_string()),
            kafka: properties(&source.kafka),
            regions: source
                .regions
                .iter()
                .map(|(name, options)| (name.clone(), properties(options)))
                .collect(),
            ..super::format::section(&self.spec.format, source)
        }
    }

    fn time_section(&self) -> TimeSection {
        let time = &self.spec.time;
        let guarded = time.guards_files || !self.source.url.is_stream();
        TimeSection {
            pane: Some(written(time.pane)),
            out_of_orderness: Some(written(time.out_of_orderness)),
            allowed_lateness: Some(written(time.allowed_lateness)),
            idle_timeout: Some(written(time.idle_timeout)),
            max_future_skew: guarded.then(|| written(time.max_future_skew)),
            refresh: Some(written(time.refresh)),
        }
    }

    fn cluster_section(&self) -> ClusterSection {
        let ClusterAccess { secret, secret_file, insecure, tls } = &self.shape.access;
        let here = secret.is_some() && secret_file.is_none();
        ClusterSection {
            secret: here.then(|| "***".into()),
            secret_file: secret_file.clone(),
            insecure: insecure.then_some(true),
            tls: tls.as_ref().map(|tls| tls.files.clone()).unwrap_or_default(),
        }
    }

    fn archive_section(&self) -> ArchiveSection {
        match &self.archive {
            Some(archive) => ArchiveSection {
                url: Some(archive.url.clone()),
                options: properties(&archive.options),
                retention: Some(archive.retention.map_or("forever".into(), written)),
                interval: Some(written(archive.interval)),
            },
            None => ArchiveSection { options: properties(&self.source.archive), ..ArchiveSection::default() },
        }
    }

    fn state_section(&self) -> StateSection {
        match &self.state {
            Some(state) => StateSection {
                url: Some(state.url.clone()),
                options: properties(&state.options),
                retention: Retention::LEVELS
                    .map(|level| (level.to_owned(), kept(&state.retention, level)))
                    .into(),
            },
            None => StateSection { url: Some("off".into()), ..StateSection::default() },
        }
    }
}

fn telemetry_section(telemetry: &Options) -> TelemetrySection {
    let Options { url, headers, interval, traces, service_name, attributes } = telemetry;
    TelemetrySection {
        otlp: Some(url.clone()),
        interval: Some(written(*interval)),
        traces: Some(*traces),
        service_name: Some(service_name.clone()),
        attributes: properties(attributes),
        headers: headers.iter().map(|header| (header.name.to_string(), "***".into())).collect(),
        headers_file: None,
    }
}

fn http_section(http: &HttpSettings) -> HttpSection {
    let masked = |tokens: &[Token]| (!tokens.is_empty()).then(|| vec!["***".to_owned(); tokens.len()].into());
    let origin = |origin: &HeaderValue| String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let Policy { access, cors, limits } = &http.policy;
    HttpSection {
        listen: Some(http.listen.clone().unwrap_or_else(|| "off".into())),
        ingest: match &http.ingest {
            IngestTo::Default => None,
            IngestTo::Source => Some(Switch::On(true)),
            IngestTo::Topic(url) => Some(Switch::To(url.to_string())),
            IngestTo::Off => Some(Switch::On(false)),
        },
        cors: (!cors.is_empty()).then(|| cors.iter().map(origin).collect::<Vec<_>>().into()),
        tokens: TokensSection { ingest: masked(&access.ingest), read: masked(&access.read) },
        limits: LimitsSection {
            body: Some(bytesize::ByteSize(limits.ingest.body as u64).to_string()),
            events: Some(limits.ingest.events),
            connections: Some(limits.connections),
            requests: Some(limits.requests),
            streams: Some(limits.streams),
            time: Some(written(limits.time)),
        },
    }
}

fn sketch_section(spec: &JobSpec) -> SketchSection {
    let sketch = &spec.sketch;
    SketchSection {
        kind: Some(match sketch.kind {
            SketchKind::Ledger => "ledger".into(),
            SketchKind::Classic => "classic".into(),
        }),
        rows: Some(sketch.rows),
        rows_kept: Some(sketch.rows_kept),
        epsilon: Some(sketch.epsilon),
        delta: Some(sketch.delta),
        seed: sketch.seed_named.then(|| Property::Text("***".into())),
    }
}

fn schema_section(spec: &JobSpec) -> SchemaSection {
    let schema = &spec.schema;
    SchemaSection {
        item: Some(schema.item.clone().into()),
        event_type: Some(schema.event_type.clone().into()),
        timestamp: Some(schema.timestamp.clone().into()),
        weight: (!schema.weight.is_empty()).then(|| schema.weight.clone().into()),
        weight_default: schema.weight_default,
        weight_scale: (schema.weight_scale != 1).then_some(schema.weight_scale),
        each: schema.each.clone(),
        timestamp_format: schema.timestamp_format.clone(),
        timezone: schema.timezone.clone(),
    }
}

fn board_section(board: &BoardSpec) -> BoardSection {
    let window = |window: &WindowSpec| {
        let (size, slide) = (window.size(), window.sliding_window().map(|window| window.slide));
        let calendar = window.calendar();
        WindowSection {
            name: window.name.to_string(),
            size: size.map(written),
            slide: slide.map(written),
            calendar: calendar.map(|calendar| calendar.unit().to_string()),
            timezone: calendar.map(|calendar| calendar.zone().to_owned()),
            rising: window.rising.iter().map(ToString::to_string).collect(),
        }
    };
    let conditions = |filters: &BTreeMap<String, Filter>| {
        filters.iter().map(|(field, filter)| (field.clone(), filter.clone().into())).collect()
    };
    BoardSection {
        name: board.name.to_string(),
        filter: conditions(&board.filter),
        retract: conditions(&board.retract),
        each: board.each.clone(),
        item: board.item.clone().map(Into::into),
        timestamp: board.timestamp.clone().map(Into::into),
        weight: board.weight.clone().map(Into::into),
        count: match &board.count {
            Count::Events => None,
            Count::Distinct(names) => {
                Some(CountOf::Distinct(DistinctSection { distinct: names.clone().into() }))
            }
        },
        on_missing_item: (!board.on_missing_item.is_refused()).then_some(board.on_missing_item),
        normalize: board.normalize.clone(),
        by: board.by.clone(),
        engine: Some(match board.engine {
            Engine::Sketch => "sketch".into(),
            Engine::Exact => "exact".into(),
        }),
        counters: board.counters.then_some(true),
        k: Some(board.k),
        ties: match board.ties {
            Ties::Ordinal => None,
            Ties::Competition => Some("competition".into()),
            Ties::Dense => Some("dense".into()),
        },
        min_count: (board.min_count > 0).then_some(board.min_count),
        blocklist: board.blocklist.place().map(str::to_owned),
        weights: board.weights.clone(),
        max_groups: Some(board.max_groups),
        windows: Some(board.windows.iter().map(window).collect()),
    }
}

fn kept(retention: &Retention, level: &str) -> String {
    retention.of(level).map_or("forever".into(), written)
}
