//! Finds the tools that a step needs.
