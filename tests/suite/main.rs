//! The suite: one module per thing a user would say.

mod architecture;
