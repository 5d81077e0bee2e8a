//! IPv4 routes of the running system, from proc_net_route(5).

use std::net::Ipv4Addr;
use std::path::Path;

use super::view::HostView;
use crate::error::Result;

/// Largest list that is read, in bytes.
const LIMIT: u64 = 16 << 20;

/// A route other than the default route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Name of the interface.
    pub interface: String,
    /// First address of the destination network.
    pub network: Ipv4Addr,
    /// Network mask.
    pub mask: Ipv4Addr,
}

impl Route {
    /// Whether the route has addresses of the network `others` with that mask.
    pub fn overlaps(&self, others: Ipv4Addr, mask: Ipv4Addr) -> bool {
        let both = u32::from(self.mask) & u32::from(mask);
        u32::from(self.network) & both == u32::from(others) & both
    }
}

/// Routes of the running system.
///
/// # Errors
/// `Failed` if the list cannot be read.
pub fn routes() -> Result<Vec<Route>> {
    let proc = HostView::new(Path::new("/proc"))?;
    let text = proc.read(Path::new("/self/net/route"), LIMIT)?;
    Ok(parse(&String::from_utf8_lossy(&text.unwrap_or_default())))
}

fn parse(text: &str) -> Vec<Route> {
    let address = |word: &str| {
        let number = u32::from_str_radix(word, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let route = Route {
            interface: (*words.first()?).to_owned(),
            network: address(words.get(1)?)?,
            mask: address(words.get(7)?)?,
        };
        (route.mask != Ipv4Addr::UNSPECIFIED).then_some(route)
    };
    text.lines().skip(1).filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_list_is_understood() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let routes = parse(text);
        let expected = Route {
            interface: "eth0".to_owned(),
            network: Ipv4Addr::new(10, 0, 2, 0),
            mask: Ipv4Addr::new(255, 255, 255, 0),
        };
        assert_eq!(routes, [expected]);
        let slot = Ipv4Addr::new(255, 255, 255, 252);
        assert!(routes[0].overlaps(Ipv4Addr::new(10, 0, 2, 8), slot));
        assert!(!routes[0].overlaps(Ipv4Addr::new(10, 0, 3, 8), slot));
        assert!(routes[0].overlaps(Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(255, 255, 0, 0)));
    }
}
