//! Segments in, stream events and facts out: each test is a little packet trace.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are the tests' own, and sequence numbers wrap"
)]

mod copies;
mod endings;
mod facts;
mod gaps;
mod held;
mod order;
mod script;

use script::{Trace, client, server};
