//! (grows below)
