//! store
mod seal;
