//! Loopback ports.
//!
//! A free port can be taken between asking and binding, and then another server may answer in place of ours. So a
//! server counts as ready only when the kernel says that our own child owns the listening socket.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
};

/// State of a listening socket in the kernel's table.
const LISTEN: &str = "0A";

/// A loopback port that nothing listens on right now.
pub fn free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Whether process `id` listens on loopback `port`.
pub fn is_owned_by(id: u32, port: u16) -> io::Result<bool> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let Some(inode) = listening_inode(&table, port) else {
        return Ok(false);
    };
    let wanted = format!("socket:[{inode}]");
    for descriptor in fs::read_dir(format!("/proc/{id}/fd"))? {
        // Descriptors come and go while they are listed.
        let Ok(target) = descriptor.and_then(|entry| fs::read_link(entry.path())) else {
            continue;
        };
        if target.as_os_str() == wanted.as_str() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The inode of the socket that listens on 127.0.0.1:`port`, out of the text of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<&str> {
    // The kernel writes an IPv4 address as one number in the machine's byte order, the port as plain hex.
    let wanted = format!(
        "{:08X}:{port:04X}",
        u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets())
    );
    table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        (*local == wanted && *state == LISTEN).then_some(*inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0";

    #[test]
    fn only_a_listening_loopback_socket_counts() {
        assert_eq!(listening_inode(TABLE, 8080), Some("222"));
        assert_eq!(listening_inode(TABLE, 8081), None);
        assert_eq!(listening_inode("", 8080), None);
    }

    #[test]
    fn a_port_belongs_to_the_process_that_listens_on_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_owned_by(std::process::id(), port).unwrap());
        drop(listener);
        assert!(!is_owned_by(std::process::id(), port).unwrap());
    }
}
