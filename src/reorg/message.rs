//! What agents say to each other.

/// A message between agents.
#[derive(Clone, Debug)]
pub enum Message {
    /// The machine runs.
    Advert,
}

impl Message {
    /// Bytes on the wire.
    pub const fn bytes(&self) -> u32 {
        match self {
            Self::Advert => 64,
        }
    }
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Advert => "Advert",
        }
    }
}
