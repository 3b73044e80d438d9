//! The reference in `docs/`, rendered from the command tree.
