//! A trace, read back field by field with a protobuf library.

use std::collections::{BTreeMap, BTreeSet};

use protobuf::CodedInputStream;
use protobuf::wire_format::WireType;

use super::proto::{Message, event, packet, trace, track};
use super::{Choice, encode};
use crate::run::run_taped;
use crate::run::tape::Wanted;
use crate::scenario::{Scenario, Source, load};

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message by number.
fn read(bytes: &[u8]) -> BTreeMap<u32, Vec<Field>> {
    let mut input = CodedInputStream::from_bytes(bytes);
    let mut fields: BTreeMap<u32, Vec<Field>> = BTreeMap::new();
    while !input.eof().unwrap() {
        let (number, wire) = input.read_tag_unpack().unwrap();
        let field = match wire {
            WireType::WireTypeVarint => Field::Number(input.read_raw_varint64().unwrap()),
            WireType::WireTypeFixed64 => Field::Number(input.read_fixed64().unwrap()),
            WireType::WireTypeLengthDelimited => Field::Bytes(input.read_bytes().unwrap()),
            other => panic!("no field is of the type {other:?}"),
        };
        fields.entry(number).or_default().push(field);
    }
    fields
}

fn number(fields: &BTreeMap<u32, Vec<Field>>, field: u32) -> Option<u64> {
    match fields.get(&field)?.first()? {
        Field::Number(number) => Some(*number),
        Field::Bytes(_) => None,
    }
}

fn text(fields: &BTreeMap<u32, Vec<Field>>, field: u32) -> Option<String> {
    match fields.get(&field)?.first()? {
        Field::Bytes(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
        Field::Number(_) => None,
    }
}

fn inner(fields: &BTreeMap<u32, Vec<Field>>, field: u32) -> Option<BTreeMap<u32, Vec<Field>>> {
    match fields.get(&field)?.first()? {
        Field::Bytes(bytes) => Some(read(bytes)),
        Field::Number(_) => None,
    }
}

#[test]
fn numbers_are_written_as_the_library_reads_them() {
    for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        let bytes = Message::default().number(1, value).fixed(47, value).text(22, "übrig").into_bytes();
        let fields = read(&bytes);
        assert_eq!((number(&fields, 1), number(&fields, 47)), (Some(value), Some(value)));
        assert_eq!(text(&fields, 22).as_deref(), Some("übrig"));
    }
}

/// Three sites, one of which is cut off for a while.
fn scenario() -> Scenario {
    let text = r#"{
        "format": 1, "name": "small", "description": "a split", "duration": "40s", "warmup": "5s",
        "topology": {
            "data_centers": [
                {"id": "tokyo", "region": "azure:japaneast", "zone": "kanto", "nodes": 1},
                {"id": "osaka", "region": "azure:japanwest", "zone": "kansai", "nodes": 1},
                {"id": "seoul", "region": "azure:koreacentral", "zone": "korea", "nodes": 1}
            ]
        },
        "services": [{"id": "board", "application": "board", "replicas": 3}],
        "protocols": {"optimistic": {}},
        "workload": [{"service": "board", "rate": "5/s"}],
        "timeline": [{"at": "10s", "do": "partition", "groups": [["tokyo"], ["*"]], "for": "10s"}]
    }"#;
    let source = Source { name: "small.json".into(), bytes: text.as_bytes().to_vec() };
    load(&source, &[], &|_| Err("no file".into())).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// The trace of a small run with a partition.
fn small() -> Vec<u8> {
    let scenario = scenario();
    let protocol = scenario.protocols[0].clone();
    let (result, tape) = run_taped(&scenario, &protocol, 1, Wanted::default());
    encode(&scenario, &result, &tape, Choice::default()).bytes
}

#[test]
fn slices_nest_flows_end_and_every_track_is_described() {
    let whole = read(&small());
    assert_eq!(whole.keys().copied().collect::<Vec<_>>(), [trace::PACKET]);
    let (mut tracks, mut used, mut names) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut open: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let mut counters = 0;
    for one in &whole[&trace::PACKET] {
        let Field::Bytes(bytes) = one else { panic!("a packet is a message") };
        let fields = read(bytes);
        assert_eq!(number(&fields, packet::SEQUENCE), Some(1));
        if let Some(descriptor) = inner(&fields, packet::TRACK_DESCRIPTOR) {
            let parent = number(&descriptor, track::PARENT);
            assert!(parent.is_none_or(|parent| tracks.contains_key(&parent)), "parents come first");
            let name = text(&descriptor, track::NAME).expect("tracks have names");
            assert!(tracks.insert(number(&descriptor, track::UUID).unwrap(), name).is_none(), "each once");
            continue;
        }
        let event = inner(&fields, packet::TRACK_EVENT).expect("an event or a descriptor");
        let at = number(&fields, packet::TIMESTAMP).expect("events have a time");
        let lane = number(&event, event::TRACK).unwrap();
        used.insert(lane);
        names.extend(text(&event, event::NAME));
        match number(&event, event::TYPE).unwrap() {
            event::BEGIN => assert_eq!(open.insert(lane, at), None, "slices of a lane follow each other"),
            event::END => assert!(open.remove(&lane).is_some_and(|from| from < at)),
            event::VALUE => counters += 1,
            event::INSTANT => {
                begun.extend(number(&event, event::FLOW));
                ended.extend(number(&event, event::FLOW_ENDS));
            }
            other => panic!("no event is of type {other}"),
        }
    }
    assert!(open.is_empty() && counters > 30, "{open:?}, {counters}");
    assert!(used.iter().all(|lane| tracks.contains_key(lane)));
    assert!(
        ended.is_subset(&begun) && begun.len() - ended.len() < begun.len() / 100,
        "{} {}",
        begun.len(),
        ended.len()
    );
    for name in ["tokyo", "tokyo/0", "board: views", "board: role", "faults", "board: answered in time"] {
        assert!(tracks.values().any(|track| track == name), "no track {name}");
    }
    for name in ["partition tokyo | *", "serves", "frozen", "view 1: tokyo/0, osaka/0, seoul/0", "suspects tokyo/0"] {
        assert!(names.contains(name), "no {name} in {names:?}");
    }
}
