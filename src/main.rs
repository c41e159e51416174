//! wscope's command line.

fn main() {}
