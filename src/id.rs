//! Dense identifiers. Each is an index into a table of the run, in the order the scenario names things.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        impl $name {
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
        impl From<usize> for $name {
            fn from(index: usize) -> Self {
                Self(u32::try_from(index).expect("tables stay far below 2^32 rows"))
            }
        }
    };
}

index!(
    /// A machine, numbered over all data centers in scenario order.
    NodeId
);
index!(
    /// A data center, and also the place of the clients that live near it.
    DcId
);
index!(
    /// A replicated service.
    ServiceId
);
index!(
    /// A client session. It belongs to one service and one place.
    ClientId
);
