//! The figures as metrics of OTLP: counters are cumulative since the process's start, and the rest are gauges. Names and labels
//! are those of `/metrics`.

use super::messages::{Anchor, scope, text};
use crate::figures::{Figure, Figures, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::time::Instant;

/// Makes messages of figures.
pub struct Metrics {
    resource: Resource,
    /// Since when counters count, in nanoseconds since 1970 UTC.
    since: u64,
}

impl Metrics {
    /// Of this sender, whose counters begin about now.
    pub fn new(resource: Resource) -> Self {
        let anchor = Anchor::now();
        Metrics { resource, since: anchor.nanos(Instant::now()) }
    }

    /// A message with these figures as they are now, and how many points it has.
    pub fn encode(&self, figures: &Figures) -> (Vec<u8>, u64) {
        let now = Anchor::now().nanos(Instant::now()).max(self.since);
        let some = figures.all().iter().filter(|figure| !figure.samples.is_empty());
        let metrics: Vec<Metric> = some.map(|figure| self.metric(figure, now)).collect();
        let points = figures.all().iter().map(|figure| figure.samples.len() as u64).sum();
        let scope_metrics = ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        let message = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        (message.encode_to_vec(), points)
    }

    fn metric(&self, figure: &Figure, now: u64) -> Metric {
        let is_counter = figure.is_counter();
        let points = figure.samples.iter().map(|sample| NumberDataPoint {
            attributes: sample.labels.iter().map(|(name, value)| text(name, value.as_str())).collect(),
            start_time_unix_nano: if is_counter { self.since } else { 0 },
            time_unix_nano: now,
            value: Some(match sample.value {
                Value::Whole(value) => match i64::try_from(value) {
                    Ok(value) => number_data_point::Value::AsInt(value),
                    Err(_) => number_data_point::Value::AsDouble(value as f64),
                },
                Value::Real(value) => number_data_point::Value::AsDouble(value),
            }),
            ..NumberDataPoint::default()
        });
        let data_points = points.collect();
        let data = if is_counter {
            let aggregation_temporality = AggregationTemporality::Cumulative.into();
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
        } else {
            Data::Gauge(Gauge { data_points })
        };
        Metric {
            name: format!("crest_{}", figure.name),
            description: figure.help.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Options, messages};
    use std::time::Duration;

    #[test]
    fn counters_are_sums_since_the_start_and_what_has_no_sample_is_left_out() {
        let attributes = [("service.name".to_owned(), "mine".to_owned())].into();
        let options = Options {
            url: String::new(),
            headers: Vec::new(),
            interval: Duration::from_secs(1),
            traces: false,
            service_name: "crest".into(),
            attributes,
        };
        let metrics = Metrics::new(messages::resource(&options, 2));
        let mut figures = Figures::default();
        figures.family("nothing", "Nothing yet.");
        figures.family("things_total", "Things.");
        figures.sample(&[("kind", &"a")], u64::MAX);
        figures.sample(&[("kind", &"b")], 7_u64);
        figures.one("level", "A level.", &[], 0.5);
        let (body, points) = metrics.encode(&figures);
        assert_eq!(points, 3);
        let message = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
        let of = &message.resource_metrics[0];
        let sender = of.resource.as_ref().unwrap();
        let sender = &sender.attributes;
        let version = env!("CARGO_PKG_VERSION");
        let expected = [("service.instance.id", "2"), ("service.name", "mine"), ("service.version", version)];
        assert_eq!(*sender, expected.map(|(name, value)| text(name, value)));
        let [things, level] = &of.scope_metrics[0].metrics[..] else { panic!("there are two") };
        let Some(Data::Sum(sum)) = &things.data else { panic!("it is a counter") };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2 && things.name == "crest_things_total");
        let values: Vec<_> = sum.data_points.iter().filter_map(|point| point.value).collect();
        let (most, seven) =
            (number_data_point::Value::AsDouble(u64::MAX as f64), number_data_point::Value::AsInt(7));
        assert_eq!(values, [most, seven]);
        let Some(Data::Gauge(gauge)) = &level.data else { panic!("it is a gauge") };
        assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(0.5)));
        let (counted, measured) = (&sum.data_points[0], &gauge.data_points[0]);
        assert!(0 < counted.start_time_unix_nano && counted.start_time_unix_nano <= counted.time_unix_nano);
        assert_eq!((measured.start_time_unix_nano, measured.time_unix_nano), (0, counted.time_unix_nano));
    }
}
