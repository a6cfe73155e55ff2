//! Every test that goes through a public door, in one binary.

#[cfg(test)]
mod intake;
