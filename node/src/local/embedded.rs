//! The hidden subcommand `local-clickhouse`: this process becomes a ClickHouse server.
//!
//! The library is ClickHouse's local mode, which can serve the ordinary HTTP interface. It does so while a query runs,
//! so it is given one that never ends. It stops at SIGTERM, closing its tables.
#![expect(
    unsafe_code,
    reason = "calls one C function of a library loaded at run time; checked below"
)]

use std::{
    ffi::{CString, NulError, c_char, c_int, c_void},
    os::unix::ffi::OsStringExt as _,
    path::PathBuf,
    ptr,
};

use clap::Args;
use libloading::{Library, Symbol};
use thiserror::Error;

/// Opens the HTTP interface and then sleeps for ever, three seconds at a time. The limit on sleeping is per block, and
/// is the reason for blocks of one row.
const SERVE: &str = "SYSTEM START LISTEN HTTP; \
    SELECT sleepEachRow(3) FROM system.numbers FORMAT Null \
    SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 1000000000";

/// Arguments of the hidden subcommand `local-clickhouse`.
#[derive(Clone, Debug, Args)]
pub struct EmbeddedArgs {
    /// The library that is ClickHouse.
    #[arg(long)]
    lib: PathBuf,
    /// Folder of its tables.
    #[arg(long)]
    path: PathBuf,
    /// Loopback port of its HTTP interface.
    #[arg(long)]
    http_port: u16,
    /// Its configuration, which names the file of its users.
    #[arg(long)]
    config: PathBuf,
}

/// Why the server is not running.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// The library could not be loaded, or is another one.
    #[error("could not load {}", path.display())]
    Load {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        #[source]
        source: libloading::Error,
    },
    /// A path that C cannot take.
    #[error("the path contains a zero byte")]
    Path(#[from] NulError),
    /// More arguments than C can count; there are six.
    #[error("too many arguments")]
    TooManyArguments,
    /// It stopped by itself and has written the reason to standard error.
    #[error("ClickHouse stopped")]
    Stopped,
}

/// `local_result *chdb_query_cmdline(int argc, char **argv)`
type QueryCommandLine = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;

/// Serves until a signal ends the process; returns only to say why it does not serve.
///
/// Call it on the main thread, before starting any other: the library installs signal handlers and threads of its own.
pub fn serve(args: EmbeddedArgs) -> EmbeddedError {
    match try_serve(args) {
        Ok(()) => EmbeddedError::Stopped,
        Err(error) => error,
    }
}

fn argument(flag: &[u8], path: PathBuf) -> Result<CString, NulError> {
    CString::new([flag, &path.into_os_string().into_vec()].concat())
}

fn try_serve(args: EmbeddedArgs) -> Result<(), EmbeddedError> {
    let EmbeddedArgs {
        lib,
        path,
        http_port,
        config,
    } = args;
    let owned = [
        CString::new("clickhouse")?,
        argument(b"--path=", path)?,
        argument(b"--config-file=", config)?,
        CString::new(format!("--http_port={http_port}"))?,
        CString::new("--listen_host=127.0.0.1")?,
        CString::new(format!("--query={SERVE}"))?,
    ];
    let count = c_int::try_from(owned.len()).map_err(|_| EmbeddedError::TooManyArguments)?;
    // C's convention ends the list with a null pointer. The callee may write into the strings, so it gets owned copies.
    let raw: Vec<*mut c_char> = owned.into_iter().map(CString::into_raw).collect();
    let mut list: Vec<*mut c_char> = raw.iter().copied().chain([ptr::null_mut()]).collect();

    let failed = |source| EmbeddedError::Load {
        path: lib.clone(),
        source,
    };
    // SAFETY: the library is the pinned, checksummed one that `install` placed; its initialisers are ClickHouse's own.
    let library = unsafe { Library::new(&lib) }.map_err(failed)?;
    // SAFETY: the type is the function's declaration in the header of this version.
    let query: Symbol<'_, QueryCommandLine> =
        unsafe { library.get(b"chdb_query_cmdline\0") }.map_err(failed)?;
    // SAFETY: `list` holds `count` valid, writable, zero-terminated strings and a final null; all of them live until
    // the process ends, because `into_raw` gave them up. The result is left to the process's end as well.
    unsafe { query(count, list.as_mut_ptr()) };
    Ok(())
}
