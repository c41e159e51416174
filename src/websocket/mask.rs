//! mask.
