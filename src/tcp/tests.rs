//! Segments in, stream events out.
