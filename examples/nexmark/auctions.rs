//! The benchmark's traffic, as a producer would write it: one JSON object an event, in two partitions.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;
use serde_json::json;
use std::sync::Arc;

/// 2024-03-29T00:00:00Z: the first event.
const START: u64 = 1_711_670_400_000;
/// Two, so that two workers both read.
const PARTITIONS: usize = 2;

/// A bid as the recount sees it.
pub struct Bid {
    /// Milliseconds since 1970.
    pub time: i64,
    pub auction: usize,
}

pub struct Auctions {
    /// The events' JSON, in the order of their times.
    pub partitions: Vec<Arc<Vec<String>>>,
    pub bids: Vec<Bid>,
}

impl Auctions {
    /// The same for the same numbers: the generator's seeds are the events' numbers.
    pub fn generate(events: usize, rate: usize) -> Self {
        let config =
            NexmarkConfig { base_time: START, first_rate: rate, next_rate: rate, ..NexmarkConfig::default() };
        let mut partitions: Vec<Vec<String>> = vec![Vec::new(); PARTITIONS];
        let mut bids = Vec::new();
        for (number, event) in EventGenerator::new(config).take(events).enumerate() {
            partitions[number % PARTITIONS].push(render(&event));
            if let Event::Bid(bid) = event {
                bids.push(Bid { time: bid.date_time as i64, auction: bid.auction });
            }
        }
        Auctions { partitions: partitions.into_iter().map(Arc::new).collect(), bids }
    }
}

/// An auction's own event names the auction as well: only the board's filter keeps it from being counted as a bid.
fn render(event: &Event) -> String {
    let fields = match event {
        Event::Bid(bid) => json!({
            "event_type": "bid", "auction": bid.auction.to_string(), "bidder": bid.bidder,
            "price": bid.price, "channel": bid.channel, "timestamp": bid.date_time,
        }),
        Event::Auction(auction) => json!({
            "event_type": "auction", "auction": auction.id.to_string(), "seller": auction.seller,
            "item_name": auction.item_name, "category": auction.category,
            "initial_bid": auction.initial_bid, "expires": auction.expires, "timestamp": auction.date_time,
        }),
        Event::Person(person) => json!({
            "event_type": "person", "person": person.id, "name": person.name,
            "city": person.city, "state": person.state, "timestamp": person.date_time,
        }),
    };
    fields.to_string()
}
