//! The rules C6 to C11 and what they refuse.
