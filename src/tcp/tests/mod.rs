//! Segments in, stream events and facts out: each test is a little packet trace.

mod endings;
mod facts;
mod gaps;
mod held;
mod order;
mod script;

use script::{Trace, client, server};
