//! A part of a record that most sessions never use: a pointer until it changes.

use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use super::stalls::ZeroWindow;
use super::{Distribution, PingLedger};

/// A value that is its default until somebody changes it.
///
/// Rationale: of 100,000 connections that are open at once a few have closed windows or
/// Pings; without this each would pay for them.
#[derive(Clone, Debug, Default)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    /// Nobody has changed it.
    pub const fn is_untouched(&self) -> bool {
        self.0.is_none()
    }
}

/// What has a default that lives forever.
pub trait Blank: Default + 'static {
    /// The default.
    fn blank() -> &'static Self;
}

impl<T: Blank> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(changed) => changed,
            None => T::blank(),
        }
    }
}

impl<T: Blank> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

macro_rules! blank {
    ($($name:ty),*) => {$(
        impl Blank for $name {
            fn blank() -> &'static Self {
                static BLANK: LazyLock<$name> = LazyLock::new(Default::default);
                &BLANK
            }
        }
    )*};
}

blank!(ZeroWindow, PingLedger, Distribution);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::PacketRef;

    #[test]
    fn reading_what_nobody_changed_takes_no_memory() {
        let mut window = Rare::<ZeroWindow>::default();
        assert_eq!(
            (*window, window.is_untouched()),
            (ZeroWindow::default(), true)
        );
        window.since = Some(PacketRef::default());
        assert!(window.since.is_some() && !window.is_untouched());
        assert_eq!(Rare::<ZeroWindow>::default().since, None);
    }
}
