//! Finds frames where nobody knows where they begin.

use crate::stream::Direction;

/// The search in one direction.
#[derive(Debug)]
pub(super) struct Search {}

impl Search {
    pub(super) fn new(_direction: Direction) -> Self {
        Self {}
    }
}
