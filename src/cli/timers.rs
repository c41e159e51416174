//! `--timeouts`: timers that users add to those that are known.

use anyhow::{Context as _, anyhow};

use super::args::InputArgs;
use crate::diagnosis::Thresholds;
use crate::diagnosis::timeouts::Timeouts;

impl InputArgs {
    /// The numbers that opinions depend on, with the timers of all files that were given.
    ///
    /// # Errors
    /// A file can't be read, or is no table of timers.
    pub(super) fn thresholds(&self) -> anyhow::Result<Thresholds> {
        let mut thresholds = Thresholds::default();
        if self.timeouts.is_empty() {
            return Ok(thresholds);
        }
        let mut table = Timeouts::built_in().clone();
        for path in &self.timeouts {
            let name = path.display();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{name}: can't read these timers; check the name"))?;
            table = table.extended(&text).map_err(|error| {
                anyhow!("{name}: {error}; docs/timeouts.md has the form of this file")
            })?;
        }
        // Read once for the whole run.
        thresholds.timeouts = Box::leak(Box::new(table));
        Ok(thresholds)
    }
}
