//! The few messages of Perfetto's trace format that are needed, encoded by hand.
//!
//! Field numbers are those of `protos/perfetto/trace/trace_packet.proto` and the files that it includes.

/// Bytes of a protobuf message under construction.
#[derive(Clone, Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    pub fn number(mut self, field: u32, value: u64) -> Self {
        self.key(field, 0);
        self.varint(value);
        self
    }

    pub fn fixed(mut self, field: u32, value: u64) -> Self {
        self.key(field, 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    pub fn float(self, field: u32, value: f64) -> Self {
        self.fixed(field, value.to_bits())
    }

    pub fn text(mut self, field: u32, value: &str) -> Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.bytes.extend(value.as_bytes());
        self
    }

    pub fn message(mut self, field: u32, value: &Self) -> Self {
        self.key(field, 2);
        self.varint(value.bytes.len() as u64);
        self.bytes.extend(&value.bytes);
        self
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Fields of `Trace`.
pub mod trace {
    pub const PACKET: u32 = 1;
}

/// Fields of `TracePacket`.
pub mod packet {
    pub const TIMESTAMP: u32 = 8;
    pub const SEQUENCE: u32 = 10;
    pub const TRACK_EVENT: u32 = 11;
    pub const TRACK_DESCRIPTOR: u32 = 60;
}

/// Fields of `TrackDescriptor`, and of the `ProcessDescriptor` and `CounterDescriptor` in it.
pub mod track {
    pub const UUID: u32 = 1;
    pub const NAME: u32 = 2;
    pub const PROCESS: u32 = 3;
    pub const PARENT: u32 = 5;
    pub const COUNTER: u32 = 8;
    pub const CHILD_ORDERING: u32 = 11;
    pub const RANK: u32 = 12;
    /// Of `CHILD_ORDERING`: by `RANK`.
    pub const EXPLICIT: u64 = 3;
    pub const PROCESS_ID: u32 = 1;
    pub const PROCESS_NAME: u32 = 6;
    pub const UNIT_NAME: u32 = 6;
}

/// Fields of `TrackEvent`, and of the `DebugAnnotation` in it.
pub mod event {
    pub const ANNOTATION: u32 = 4;
    pub const TYPE: u32 = 9;
    pub const TRACK: u32 = 11;
    pub const CATEGORY: u32 = 22;
    pub const NAME: u32 = 23;
    pub const COUNTER: u32 = 44;
    pub const FLOW: u32 = 47;
    pub const FLOW_ENDS: u32 = 48;
    pub const BEGIN: u64 = 1;
    pub const END: u64 = 2;
    pub const INSTANT: u64 = 3;
    pub const VALUE: u64 = 4;
    pub const ANNOTATION_NAME: u32 = 10;
    pub const ANNOTATION_TEXT: u32 = 6;
}
