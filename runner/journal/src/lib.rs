//! The append-only record of effects.
