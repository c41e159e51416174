//! `--keys`, and the secrets that captures carry within themselves.

use std::path::Path;

use anyhow::Context as _;

use super::args::InputArgs;
use super::output::complain;
use crate::pipeline::Analyzer;
use crate::source::{embedded_key_logs, expand};
use crate::tls::is_pem;

impl InputArgs {
    /// Tells the analysis every secret that is known before the first packet.
    ///
    /// # Errors
    /// A key log or private key can't be read.
    pub(super) fn learn_keys(&self, analyzer: &mut Analyzer, quiet: bool) -> anyhow::Result<()> {
        for path in &self.keys {
            let text = std::fs::read(path).with_context(|| {
                format!(
                    "{}: can't read this key log; check the name",
                    path.display()
                )
            })?;
            if is_pem(&text) {
                analyzer
                    .add_private_key(&text)
                    .with_context(|| format!("{}: can't use this file", path.display()))?;
                continue;
            }
            let read = analyzer.add_keys(&text);
            if quiet {
                continue;
            }
            if read.secrets == 0 {
                complain(&format!(
                    "{}: no TLS secret in it; give the file that SSLKEYLOGFILE named while the client ran",
                    path.display()
                ));
            } else if let Some(line) = read.first_unreadable {
                complain(&format!(
                    "{}: {} of its lines are no secrets, the first is line {line}; the others are used",
                    path.display(),
                    read.unreadable
                ));
            }
        }
        let stdin = self.files.iter().any(|path| path == Path::new("-"));
        if stdin || self.follow {
            analyzer.keys_may_come();
        }
        if !self.follow {
            let inputs = expand(&self.files)?;
            for path in inputs.files.iter().filter(|path| *path != Path::new("-")) {
                embedded_key_logs(path, |text| {
                    analyzer.add_keys(text);
                });
            }
        }
        Ok(())
    }
}
