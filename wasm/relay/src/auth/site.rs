//! Which web pages may use the relay, and under which names.
//!
//! A page that a visitor opened can dial whatever the visitor's machine can. Where being there is all it takes – public
//! paths on a private address, a client certificate – the page's origin decides; where a token is needed the token does.

use std::net::{IpAddr, SocketAddr};

use super::{Asked, Refusal, SettingsError};

/// Who can reach the address the relay listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposure {
    /// Programs on this machine, and every page open in its browsers.
    Loopback,
    /// As well a private network, and every page open in there.
    Private,
    /// Everybody, so that a page wins nothing by being where it is.
    Public,
}

/// Which pages may use the relay.
#[derive(Clone, Debug)]
pub(super) struct Sites {
    exposure: Exposure,
    /// Origins that were named; none: it depends on the exposure.
    origins: Vec<Allowed>,
    /// Names the relay answers to, besides addresses and `localhost`.
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Any,
    Origin(String),
}

impl Sites {
    /// For a relay that listens on `bind` and answers to `names`. `origins`: `*`, or `scheme://host[:port]`.
    pub(super) fn new(
        bind: SocketAddr,
        names: &[String],
        origins: &[String],
    ) -> Result<Self, SettingsError> {
        let parse = |text: &String| match text.as_str() {
            "*" => Ok(Allowed::Any),
            "null" => Ok(Allowed::Origin(text.clone())),
            _ => normal(text)
                .map(Allowed::Origin)
                .ok_or_else(|| SettingsError::Origin(text.clone())),
        };
        Ok(Self {
            exposure: exposure(bind.ip()),
            origins: origins.iter().map(parse).collect::<Result<_, _>>()?,
            names: names.to_vec(),
        })
    }

    /// What everybody must pass, a token or not: the list, where the operator made one.
    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let allowed = self.origins.is_empty() || asked.origin.is_none_or(|o| self.lists(o));
        allowed.then_some(()).ok_or(FOREIGN)
    }

    /// What is asked in addition of whoever shows no token.
    pub(super) fn check_ambient(
        &self,
        asked: &Asked<'_>,
        certificate: bool,
    ) -> Result<(), Refusal> {
        if self.exposure == Exposure::Public && !certificate {
            return Ok(());
        }
        if self.exposure != Exposure::Public && !asked.host.is_none_or(|host| self.answers_to(host))
        {
            return Err(Refusal::Forbidden("this relay does not go by that name"));
        }
        // Programs send no origin; browsers always do where it matters.
        let allowed = match asked.origin {
            None => true,
            Some(origin) if !self.origins.is_empty() => self.lists(origin),
            Some(origin) => self.exposure == Exposure::Loopback && is_local_page(origin),
        };
        allowed.then_some(()).ok_or(FOREIGN)
    }

    fn lists(&self, origin: &str) -> bool {
        let normal = normal(origin).unwrap_or_else(|| origin.to_owned());
        self.origins.iter().any(|allowed| match allowed {
            Allowed::Any => true,
            Allowed::Origin(listed) => *listed == normal,
        })
    }

    /// A name that anybody could point here is not ours; an address cannot be pointed.
    fn answers_to(&self, authority: &str) -> bool {
        let host = host_of(authority);
        is_loopback(host)
            || unbracketed(host).parse::<IpAddr>().is_ok()
            || self
                .names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host))
    }
}

const FOREIGN: Refusal = Refusal::Forbidden("this page may not use the relay");

fn exposure(ip: IpAddr) -> Exposure {
    let private = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    };
    if ip.is_loopback() {
        Exposure::Loopback
    } else if private {
        Exposure::Private
    } else {
        Exposure::Public
    }
}

/// `scheme://host[:port]` in lower case, without the port that goes without saying.
fn normal(origin: &str) -> Option<String> {
    let url = url::Url::parse(origin).ok()?;
    let tuple = url.origin().is_tuple() && matches!(url.path(), "" | "/") && url.query().is_none();
    tuple.then(|| url.origin().ascii_serialization())
}

/// A page served from this machine.
fn is_local_page(origin: &str) -> bool {
    let url = url::Url::parse(origin).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    url.is_some_and(|url| is_loopback(url.host_str().unwrap_or_default()))
}

/// Whether a host is this machine by definition: `localhost`, names below it, and loopback addresses.
pub(super) fn is_loopback(host: &str) -> bool {
    let lower = host.to_ascii_lowercase();
    lower == "localhost"
        || lower.ends_with(".localhost")
        || unbracketed(&lower)
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn unbracketed(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The host of `host[:port]`.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') => {
            host
        }
        _ => authority,
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
