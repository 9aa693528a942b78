//! What is done around the gate: rooms of data and decisions, one a command. Nothing here prints.

pub(crate) mod audit;
