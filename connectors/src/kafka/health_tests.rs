//! What is known of brokers by what librdkafka reports.

use super::*;

fn statistics(
    state: &str,
    stateage: Duration,
    rxidle: Duration,
    waiting: u32,
    next: i64,
    eof: i64,
) -> String {
    format!(
        r#"{{"name":"x","brokers":{{"h:1/1":{{"nodeid":1,"source":"learned","state":"{state}","stateage":{},
        "rxidle":{},"waitresp_cnt":{waiting},"extra":[]}},
        "GroupCoordinator":{{"nodeid":-1,"source":"logical","state":"DOWN","stateage":0,"rxidle":-1,"waitresp_cnt":0}}}},
        "topics":{{"t":{{"partitions":{{"3":{{"partition":3,"broker":1,"unknown":false,"fetch_state":"active","next_offset":{next},
        "eof_offset":{eof},"hi_offset":{next},"ls_offset":{next}}},
        "-1":{{"partition":-1,"broker":-1,"unknown":false,"fetch_state":"none","next_offset":0,"eof_offset":-1001,"hi_offset":-1001,"ls_offset":-1001}}}}}}}}}}"#,
        stateage.as_micros(),
        rxidle.as_micros()
    )
}

fn observe(health: &Health, json: &str, now: Instant) {
    health.observe(&serde_json::from_str(json).unwrap(), now);
}

const SECOND: Duration = Duration::from_secs(1);

fn up(age: u32, next: i64, eof: i64) -> String {
    statistics("UP", age * SECOND, SECOND / 10, 1, next, eof)
}

#[test]
fn the_end_is_known_only_while_the_broker_answers() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let now = Instant::now();
    assert_eq!(health.at_end_since(3, 7), None);
    observe(&health, &up(20, 7, 7), now);
    assert_eq!(health.at_end_since(3, 7), Some(now), "it may not have been asked before");
    observe(&health, &up(21, 7, 7), now + SECOND);
    assert_eq!(health.at_end_since(3, 7), Some(now));
    assert_eq!(health.at_end_since(3, 6), None, "another end");
    assert_eq!(health.at_end_since(4, 7), None, "another partition");
    observe(&health, &up(22, 8, 7), now + 2 * SECOND);
    assert_eq!(health.at_end_since(3, 7), None, "more is on its way");
}

#[test]
fn all_is_read_once_the_reader_has_come_to_where_the_broker_said_that_the_partition_ends() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let now = Instant::now();
    let known = |at| Some(ReadToEnd { at, answering_since: now });
    assert_eq!(health.read_to_end(3, 100), None, "nothing was said");
    let unfetched = up(20, 0, 0).replace("\"hi_offset\":0", "\"hi_offset\":-1001");
    observe(&health, &unfetched, now);
    assert_eq!(health.read_to_end(3, 100), None, "the broker was not asked yet");
    observe(&health, &up(20, 7, 3), now);
    assert_eq!((health.read_to_end(3, 6), health.read_to_end(3, 7)), (None, known(now)));
    let later = now + SECOND;
    observe(&health, &up(21, 12, 3), later);
    assert_eq!((health.read_to_end(3, 11), health.read_to_end(3, 13)), (None, known(later)));
    observe(&health, &statistics("CONNECT", SECOND / 2, SECOND, 0, 12, 3), later);
    assert_eq!(health.read_to_end(3, 13), None, "an outage");
}

#[test]
fn a_partition_that_was_just_found_has_no_broker_yet_and_none_is_lost() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let now = Instant::now();
    let with_another = |broker: i32| {
        let another = format!(
            r#""partitions":{{"4":{{"partition":4,"broker":{broker},"unknown":false,"fetch_state":"none","next_offset":0,
            "eof_offset":-1001,"hi_offset":-1001,"ls_offset":-1001}},"#
        );
        up(20, 7, 7).replace("\"partitions\":{", &another)
    };
    observe(&health, &up(20, 7, 7), now);
    assert_eq!(health.change(&[3]), None);
    assert_eq!(health.change(&[3, 4]), None, "it is not reported yet");
    observe(&health, &with_another(-1), now);
    assert_eq!(health.change(&[3, 4]), None, "its broker is not known yet");
    observe(&health, &with_another(1), now);
    assert_eq!(health.change(&[3, 4]), None);
    observe(&health, &with_another(-1), now);
    assert!(matches!(health.change(&[3, 4]), Some(Change::Lost(_))), "it had one");
    let late = Health::new(Topics::One("t".into()), Duration::ZERO);
    observe(&late, &up(20, 7, 7), now);
    assert_eq!(late.change(&[3]), None);
    observe(&late, &with_another(-1), now - 10 * SECOND);
    assert!(matches!(late.change(&[3, 4]), Some(Change::Lost(_))), "nor does it get one");
}

#[test]
fn an_outage_ends_the_knowledge_and_it_begins_anew() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let now = Instant::now();
    let at = |seconds: u32| now - (30 - seconds) * SECOND;
    observe(&health, &up(100, 7, 7), at(0));
    assert_eq!(health.change(&[3]), None);
    observe(&health, &statistics("CONNECT", SECOND / 2, SECOND, 0, 7, 7), at(10));
    assert_eq!(health.at_end_since(3, 7), None);
    assert!(matches!(health.change(&[3]), Some(Change::Lost(_))));
    assert_eq!(health.change(&[3]), None, "it is told once");
    assert!(health.lost());
    observe(&health, &up(0, 7, 7), at(30));
    assert_eq!(health.at_end_since(3, 7), Some(at(30)), "librdkafka does not report the end again");
    assert_eq!(health.change(&[3]), Some(Change::Back));
}

#[test]
fn a_connection_that_came_and_went_between_two_reports_is_a_break() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let now = Instant::now();
    observe(&health, &up(100, 7, 7), now - 2 * SECOND);
    observe(&health, &statistics("UP", SECOND / 4, SECOND / 10, 1, 7, 7), now);
    assert_eq!(health.at_end_since(3, 7), Some(now));
}

#[test]
fn a_broker_that_hangs_is_an_outage_and_one_that_is_asked_nothing_is_not() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let now = Instant::now();
    observe(&health, &statistics("UP", 100 * SECOND, 4 * SECOND, 0, 7, 7), now);
    assert_eq!(health.at_end_since(3, 7), None);
    assert_eq!(health.change(&[3]), None);
    observe(&health, &statistics("UP", 100 * SECOND, 4 * SECOND, 1, 7, 7), now);
    assert!(matches!(health.change(&[3]), Some(Change::Lost(_))));
    observe(&health, &up(105, 7, 7), now);
    assert_eq!(health.at_end_since(3, 7), Some(now), "it was up all the time, but did not answer");
}

#[test]
fn a_partition_that_answering_brokers_do_not_know_is_gone() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let gone = |json: &str| json.replace("\"unknown\":false", "\"unknown\":true");
    let now = Instant::now();
    observe(&health, &gone(&statistics("DOWN", SECOND, SECOND, 0, 7, 7)), now);
    assert_eq!(health.gone(3), None, "nobody answers");
    observe(&health, &gone(&up(10, 7, 7)), now - 5 * SECOND);
    observe(&health, &gone(&up(12, 7, 7)), now - 3 * SECOND);
    assert!(health.gone(3).unwrap() >= 5 * SECOND);
    observe(&health, &up(13, 7, 7), now);
    assert_eq!(health.gone(3), None);
}

#[test]
fn an_open_transaction_is_told_of_while_it_lasts() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    let open = |ls: i64| up(100, ls, ls).replace("\"hi_offset\":7", "\"hi_offset\":9");
    let now = Instant::now();
    observe(&health, &open(7), now - 2 * SECOND);
    assert!(health.open_transaction(3).is_some_and(|since| since > 0));
    assert_eq!((health.at_end_since(3, 7), health.open_transaction(4)), (Some(now - 2 * SECOND), None));
    observe(&health, &up(100, 8, 8).replace("\"hi_offset\":8", "\"hi_offset\":9"), now);
    assert_eq!(health.open_transaction(3), None, "the next one is new");
    assert!(!health.state.lock().partitions[&3].transaction_told);
    observe(&health, &up(100, 8, 8).replace("\"hi_offset\":8", "\"hi_offset\":9"), now + 30 * SECOND);
    assert!(health.state.lock().partitions[&3].transaction_told, "the log tells of it");
    observe(&health, &up(100, 10, 10), now + 31 * SECOND);
    assert!(health.state.lock().partitions[&3].transaction.is_none(), "it has ended");
}

#[test]
fn the_ids_that_librdkafka_goes_by_are_heard_of_the_topics_that_are_read() {
    let say = |health: &Health, topic: &str, from: &str, to: &str| {
        health.hear_log(&format!("[thrd:main]: Topic {topic} changed id from {from} to {to}"));
        health.told_ids()
    };
    let (none, one, two) = ("AAAAAAAAAAAAAAAAAAAAAA", "ASNFZ4mrze8AESIzRFVmdw", "BSNFZ4mrze8AESIzRFVmdw");
    let changed = |topic: &str, id| vec![(topic.to_owned(), TopicId::from_base64(id).unwrap())];
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    assert_eq!((say(&health, "other", none, one), say(&health, "t", one, none)), (vec![], vec![]));
    assert_eq!(say(&health, "t", none, one), changed("t", one));
    assert_eq!(say(&health, "t", one, two), changed("t", two));
    assert_eq!((say(&health, "my t", two, one), health.told_ids()), (vec![], vec![]), "not its name");
    let several = Health::new(Topics::Several(vec!["t".into(), "u".into()]), Duration::ZERO);
    assert_eq!(say(&several, "u", none, one), changed("u", one));
    assert_eq!(say(&several, "v", none, one), vec![]);
}

#[test]
fn partitions_of_several_topics_are_told_apart() {
    let topics = Topics::Several(vec!["other".into(), "t".into()]);
    let number = |topic| topics.number(topic, 3).unwrap();
    let (here, there) = (number("t"), number("other"));
    let health = Health::new(topics, Duration::ZERO);
    let now = Instant::now();
    observe(&health, &up(20, 7, 7), now);
    assert_eq!((health.high(here), health.high(there)), (Some(7), None));
    observe(&health, &up(20, 9, 9).replace("\"t\":", "\"other\":"), now);
    assert_eq!((health.high(here), health.high(there)), (Some(7), Some(9)));
    assert_eq!(health.at_end_since(there, 9), Some(now));
}

#[test]
fn errors_are_counted_and_told() {
    let health = Health::new(Topics::One("t".into()), Duration::ZERO);
    observe(&health, &up(10, 7, 7), Instant::now());
    assert_eq!(health.change(&[3]), None);
    health.hear_error(Code::BrokerTransportFailure, "h:1/1: Connection refused");
    health.hear_error(Code::AllBrokersDown, "1/1 brokers are down");
    assert_eq!(health.retries(), 2);
    assert_eq!(health.at_end_since(3, 7), None);
    let told = health.change(&[3]);
    assert_eq!(told, Some(Change::Lost("h:1/1: Connection refused".to_owned())));
    health.hear_error(Code::SaslAuthenticationFailed, "wrong password");
    assert_eq!(health.denied().unwrap().1, "wrong password");
    observe(&health, &up(1, 7, 7), Instant::now());
    assert_eq!(health.denied(), None);
}
