//! Content-addressed store, deterministic packing, manifests and deltas between trees.
