//! After how much idle time the places on a path forget a TCP connection, or close it.
//!
//! The one source of these figures: the findings of `show` and the remarks of `run` and `attach`
//! take theirs from here, and tests hold docs/timeouts.md and README.md to them. The document has
//! what else is known of each place, and the sources.

use std::fmt;

/// A product on a path, or a part of one.
#[derive(Debug)]
pub struct Place {
    /// What it is called.
    pub name: &'static str,
    /// The idle time that it allows as it comes; several where that depends.
    pub limits: &'static [Limit],
}

/// An idle time that is allowed.
#[derive(Debug)]
pub struct Limit {
    /// In seconds.
    pub seconds: u32,
    /// When it holds; empty where it always does.
    pub when: &'static str,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = if self.when.is_empty() { "" } else { " " };
        write!(f, "{}{blank}{}", describe(self.seconds), self.when)
    }
}

const fn place(name: &'static str, limits: &'static [Limit]) -> Place {
    Place { name, limits }
}

const fn limit(seconds: u32) -> Limit {
    Limit { seconds, when: "" }
}

const fn when(seconds: u32, when: &'static str) -> Limit {
    Limit { seconds, when }
}

const AWS_NETWORK_LOAD_BALANCER: Place = place("AWS Network Load Balancer", &[limit(350)]);

const AZURE_LOAD_BALANCER: Place = place("Azure Load Balancer", &[limit(240)]);

const AZURE_FIREWALL: Place =
    place("Azure Firewall", &[when(240, "in and out"), when(300, "inside")]);

const GOOGLE_CLOUD: Place = place("Google Cloud", &[when(600, "(inside of a VPC too)")]);

const JUNIPER_SRX: Place = place("Juniper SRX", &[limit(1800)]);

/// Places that pass packets on, and an empty acknowledgment counts: keepalive holds the path.
pub const PACKETS: &[Place] = &[
    AWS_NETWORK_LOAD_BALANCER,
    place("AWS NAT gateway", &[limit(350)]),
    place("AWS Gateway Load Balancer", &[limit(350)]),
    place("AWS Network Firewall", &[limit(350)]),
    place(
        "AWS EC2 security groups",
        &[when(350, "on Nitro v6"), when(432_000, "on older instances")],
    ),
    AZURE_LOAD_BALANCER,
    place("Azure NAT gateway", &[limit(240)]),
    AZURE_FIREWALL,
    GOOGLE_CLOUD,
    place("Google Cloud NAT", &[limit(1200)]),
    place("Oracle Cloud Network Load Balancer", &[limit(360)]),
    place("Huawei Elastic Load Balance", &[limit(300)]),
    place("Linux conntrack", &[limit(432_000), when(300, "while data is unacknowledged")]),
    place("kube-proxy", &[limit(86_400)]),
    place("IPVS (Docker Swarm, kube-proxy)", &[limit(900)]),
    place(
        "pf (OpenBSD, pfSense, OPNsense)",
        &[limit(86_400), when(18_000, "if aggressive"), when(432_000, "if conservative")],
    ),
    JUNIPER_SRX,
    place("Cisco ASA, FTD", &[limit(3600)]),
    place("FortiGate", &[limit(3600)]),
    place("VMware NSX", &[when(7200, "at a gateway"), when(43_200, "distributed")]),
    place(
        "carrier-grade NAT",
        &[when(300, "in Germany, fibre"), when(240, "in Indonesia at the shortest")],
    ),
];

/// Places that end TCP themselves and answer the probes: only data counts.
pub const DATA: &[Place] = &[
    place("AWS Classic Load Balancer", &[limit(60)]),
    place("AWS Application Load Balancer", &[limit(60)]),
    place("Cloudflare HTTP proxy", &[when(400, "to the client"), when(900, "to the origin")]),
    place("Heroku router", &[when(55, "from the last byte")]),
    place("Envoy, Istio", &[limit(3600)]),
    place("Docker Desktop (vpnkit)", &[limit(300)]),
    place("nginx stream", &[limit(600)]),
    place("ngrok TCP", &[limit(300)]),
    place("Azure Event Hubs (Kafka)", &[when(600, "without a request")]),
];

/// A first probe after at most this much idle time, in seconds, holds every path that is known to
/// forget within minutes, and leaves time for a second probe where the first is lost.
pub const SAFE: u32 = 200;

/// The longest limit, in seconds, that is a matter of minutes.
pub const LONGEST: u32 = JUNIPER_SRX.limits[0].seconds;

/// The limits of the best-known load balancers, in words.
pub fn load_balancers() -> String {
    let limit = |place: &Place| describe(place.limits[0].seconds);
    format!(
        "{} (Azure) or {} (AWS)",
        limit(&AZURE_LOAD_BALANCER),
        limit(&AWS_NETWORK_LOAD_BALANCER)
    )
}

/// From where to where the limits of firewalls are a matter of minutes, in words.
pub fn firewalls() -> String {
    format!("{}–{}", AZURE_FIREWALL.limits[1].seconds / 60, describe(LONGEST))
}

/// Those of these places that have a limit from `lower` to `upper` seconds, both included. A place
/// whose operator chose another time than it comes with is not among them.
pub fn matching(
    places: &'static [Place],
    lower: u32,
    upper: u32,
) -> impl Iterator<Item = &'static Place> {
    places.iter().filter(move |place| {
        place.limits.iter().any(|limit| (lower..=upper).contains(&limit.seconds))
    })
}

/// `350 s`, `4 min`, `2 h`, `5 days`: in the largest unit that needs no fraction.
pub fn describe(seconds: u32) -> String {
    match seconds {
        86_400 => "1 day".into(),
        _ if seconds > 0 && seconds.is_multiple_of(86_400) => format!("{} days", seconds / 86_400),
        _ if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds > 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_probe_after_the_safe_time_holds_every_path_whose_limit_is_in_minutes() {
        let limits = PACKETS.iter().flat_map(|place| place.limits).map(|limit| limit.seconds);
        // Half a minute is left for a second probe.
        assert!(limits.min().is_some_and(|shortest| SAFE + 30 <= shortest));
    }

    #[test]
    fn each_place_is_there_once() {
        let mut names = HashSet::new();
        assert!(PACKETS.iter().chain(DATA).all(|place| names.insert(place.name)));
    }

    #[test]
    fn places_are_found_by_what_was_measured() {
        let names = |places, lower, upper| -> Vec<_> {
            matching(places, lower, upper).map(|place| place.name).collect()
        };
        let at_350 = names(PACKETS, 348, 356);
        assert!(at_350.starts_with(&["AWS Network Load Balancer", "AWS NAT gateway"]));
        assert!(at_350.iter().all(|name| name.starts_with("AWS ")), "{at_350:?}");
        assert!(names(PACKETS, 240, 240).contains(&"Azure Load Balancer"));
        assert_eq!(names(PACKETS, 241, 299), [""; 0]);
        assert_eq!(names(DATA, 59, 61).len(), 2);
        assert_eq!(names(DATA, 0, 54), [""; 0]);
        assert_eq!(names(PACKETS, 0, u32::MAX).len(), PACKETS.len());
        assert_eq!(names(PACKETS, 2, 1), [""; 0]);
    }

    #[test]
    fn times_in_words() {
        for (seconds, text) in [
            (0, "0 s"),
            (55, "55 s"),
            (60, "60 s"),
            (120, "2 min"),
            (350, "350 s"),
            (900, "15 min"),
            (3600, "1 h"),
            (86_400, "1 day"),
            (432_000, "5 days"),
        ] {
            assert_eq!(describe(seconds), text);
        }
    }
}
