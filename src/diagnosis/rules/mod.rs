//! The catalogue: one file per rule, two lines each here.

mod close_1006_peer_fin;

use super::Rule;

/// All rules, in the order of the catalogue.
pub static ALL: &[&Rule] = &[&close_1006_peer_fin::RULE];

/// The rule of this id.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id == id)
}
