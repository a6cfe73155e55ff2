//! What is told of adapters.
