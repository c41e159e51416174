//! Timelines of scripted sessions.
