//! The operator's key that servers of tests are started with.

pub(crate) const ADMIN_KEY: &str =
    "tdk_00000000000000000000000tst_0000000000000000000000000000000000000000000000000000";
