//! What `tidings watch` is told on the command line.

use std::{str::FromStr as _, time::Duration};

use crate::{
    cli::{call::ServerArgs, span::read_span},
    model::Clock,
    proto::{DeliveryFilter, DeliveryState, WatchDeliveriesRequest, watch_deliveries_request::Start},
};

/// Show what happens to deliveries and endpoints, as it happens.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("start").multiple(false))]
pub struct WatchArgs {
    /// The server, and the key.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The tenant to watch. Default: the key's, or `default`.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub tenant: String,
    /// Only deliveries to this endpoint, and what happens to it; may be repeated.
    #[arg(long = "endpoint", value_name = "ID")]
    pub endpoints: Vec<String>,
    /// Only deliveries of this event; may be repeated.
    #[arg(long = "event", value_name = "ID")]
    pub events: Vec<String>,
    /// Only deliveries of event types that match, such as `user.*`; may be repeated.
    #[arg(long = "type", value_name = "PATTERN")]
    pub types: Vec<String>,
    /// Only deliveries that came into this state; may be repeated.
    #[arg(long = "state", value_name = "STATE", value_parser = parse_state)]
    pub states: Vec<DeliveryState>,
    /// Start with the oldest transition that the server keeps.
    #[arg(long, group = "start")]
    pub from_oldest: bool,
    /// Start at a time (2026-01-31T12:00:00Z), or so long ago (90s, 15m, 2h, 7d).
    #[arg(long, group = "start", value_name = "TIME", value_parser = parse_since)]
    pub since: Option<Since>,
    /// Go on after the message that carried this token, with the same tenant and filter.
    #[arg(long, group = "start", value_name = "TOKEN")]
    pub resume: Option<String>,
}

/// A point in time as people give it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Since {
    /// At this time.
    Time(prost_types::Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl WatchArgs {
    /// The request that these arguments stand for.
    pub(super) fn request(&self, clock: &Clock) -> WatchDeliveriesRequest {
        let start = match (self.from_oldest, self.since, &self.resume) {
            (true, ..) => Some(Start::FromOldest(true)),
            (_, Some(Since::Time(time)), _) => Some(Start::StartTime(time)),
            (_, Some(Since::Ago(ago)), _) => {
                let micros = clock.wall().minus(ago).as_micros();
                let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("less than 10^9");
                Some(Start::StartTime(prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }))
            }
            (_, _, Some(token)) => Some(Start::ResumeToken(token.clone())),
            (false, None, None) => None,
        };
        let filter = DeliveryFilter {
            endpoint_ids: self.endpoints.clone(),
            event_types: self.types.clone(),
            states: self.states.iter().map(|state| *state as i32).collect(),
            event_ids: self.events.clone(),
            ..DeliveryFilter::default()
        };
        WatchDeliveriesRequest { tenant_id: self.tenant.clone(), filter: Some(filter), start }
    }
}

fn parse_state(text: &str) -> Result<DeliveryState, String> {
    let name = format!("DELIVERY_STATE_{}", text.to_ascii_uppercase().replace('-', "_"));
    match DeliveryState::from_str_name(&name) {
        Some(DeliveryState::Unspecified) | None => {
            Err("must be one of pending, in-flight, delivered, dead, cancelled, held".to_owned())
        }
        Some(state) => Ok(state),
    }
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(time) = prost_types::Timestamp::from_str(text) {
        return Ok(Since::Time(time));
    }
    let problem =
        || "must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 90s, 15m, 2h or 7d".to_owned();
    read_span(text).map(Since::Ago).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::model::Timestamp;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        watch: WatchArgs,
    }

    fn request(arguments: &[&str]) -> Result<WatchDeliveriesRequest, clap::Error> {
        let cli = Cli::try_parse_from([&["watch"], arguments].concat())?;
        Ok(cli.watch.request(&Clock::manual(Timestamp::from_micros(1_000_000_500_000))))
    }

    #[test]
    fn arguments_become_the_request_that_they_name() {
        let plain = request(&[]).unwrap();
        assert_eq!((plain.tenant_id.as_str(), plain.start), ("", None));
        let all =
            ["--tenant", "acme", "--endpoint", "ep_1", "--endpoint", "ep_2", "--type", "user.*", "--state", "dead"];
        let filtered =
            request(&[&all[..], &["--state", "In-Flight", "--from-oldest", "--event", "evt_1"]].concat()).unwrap();
        let filter = filtered.filter.unwrap();
        assert_eq!(filtered.tenant_id, "acme");
        assert_eq!(filter.endpoint_ids, ["ep_1", "ep_2"]);
        assert_eq!(filter.event_types, ["user.*"]);
        assert_eq!(filter.event_ids, ["evt_1"]);
        assert_eq!(filter.states, [DeliveryState::Dead as i32, DeliveryState::InFlight as i32]);
        assert_eq!(filtered.start, Some(Start::FromOldest(true)));
        assert_eq!(request(&["--resume", "abc"]).unwrap().start, Some(Start::ResumeToken("abc".to_owned())));
    }

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let start = |since: &str| match request(&["--since", since]).map(|request| request.start) {
            Ok(Some(Start::StartTime(time))) => Some((time.seconds, time.nanos)),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(start("90s"), Some((999_910, 500_000_000)));
        assert_eq!(start("2h"), Some((992_800, 500_000_000)));
        assert_eq!(start("1970-01-01T00:01:00Z"), Some((60, 0)));
        for wrong in ["", "s", "-5s", "5", "5w", "é", "1.5h", "99999999999999999999d", "9999999999999999d", "yesterday"]
        {
            assert_eq!(start(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn unknown_states_and_two_starts_are_refused() {
        assert!(request(&["--state", "lost"]).is_err());
        assert!(request(&["--state", "unspecified"]).is_err());
        assert!(request(&["--from-oldest", "--since", "5m"]).is_err());
        assert!(request(&["--resume", "abc", "--since", "5m"]).is_err());
    }
}
