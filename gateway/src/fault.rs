//! Points at which a test lets the process die. Without the `failpoints` feature of the `fail` crate,
//! which only the tests' build has, there is nothing here.

/// Dies here, as by `kill -9`, if a test has asked for that.
macro_rules! point {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort());
    };
}

pub(crate) use point;
