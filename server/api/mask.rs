//! Field masks of UpdateEndpoint: which settings a call changes.

use prost_types::FieldMask;

use super::violation::{Violations, echo};

/// Fields of an endpoint that exist, but that its owner does not set.
const OUTPUT_ONLY: [&str; 10] = [
    "id",
    "tenant_id",
    "state",
    "disable_reason",
    "disable_time",
    "failing_since_time",
    "create_time",
    "update_time",
    "etag",
    "effective_policy",
];

const FIELD: &str = "update_mask";

/// Which settings of an endpoint are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndpointMask {
    pub(super) display_name: bool,
    pub(super) description: bool,
    pub(super) labels: bool,
    pub(super) url: bool,
    pub(super) event_types: bool,
    pub(super) style: bool,
    pub(super) headers: bool,
    pub(super) retry: bool,
    pub(super) timeout: bool,
    pub(super) max_in_flight: bool,
    pub(super) hold_duration: bool,
    pub(super) disable_after_dead: bool,
}

impl EndpointMask {
    /// Reads a mask; it must name something, and nothing that cannot be changed.
    pub(super) fn read(mask: Option<&FieldMask>, violations: &mut Violations) -> Self {
        let paths = mask.map_or(&[][..], |mask| mask.paths.as_slice());
        if paths.is_empty() {
            violations.add(FIELD, "must name the fields to change");
        }
        let mut named = Self::default();
        for (index, path) in paths.iter().enumerate() {
            if let Err(problem) = named.name(path) {
                violations.add(format!("{FIELD}.paths[{index}]"), problem);
            }
        }
        named
    }

    fn name(&mut self, path: &str) -> Result<(), String> {
        match path {
            "display_name" => self.display_name = true,
            "description" => self.description = true,
            "labels" => self.labels = true,
            "url" => self.url = true,
            "event_types" => self.event_types = true,
            "style" => self.style = true,
            "headers" => self.headers = true,
            "policy" => {
                (self.retry, self.timeout, self.max_in_flight) = (true, true, true);
                (self.hold_duration, self.disable_after_dead) = (true, true);
            }
            "policy.retry" => self.retry = true,
            "policy.timeout" => self.timeout = true,
            "policy.max_in_flight" => self.max_in_flight = true,
            "policy.hold_duration" => self.hold_duration = true,
            "policy.disable_after_dead" => self.disable_after_dead = true,
            output if OUTPUT_ONLY.contains(&output) => {
                return Err(format!("`{output}` is output only; leave it out of the mask"));
            }
            unknown => {
                return Err(format!(
                    "`{}` is not among `display_name`, `description`, `labels`, `url`, `event_types`, `style`, \
                     `headers`, `policy`, `policy.retry`, `policy.timeout`, `policy.max_in_flight`, \
                     `policy.hold_duration`, `policy.disable_after_dead`",
                    echo(unknown)
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> (EndpointMask, Vec<String>) {
        let mask = FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() };
        let mut violations = Violations::default();
        let named = EndpointMask::read(Some(&mask), &mut violations);
        (named, violations.into_shown().into_iter().map(|(field, _)| field).collect())
    }

    #[test]
    fn a_policy_names_all_of_its_parts() {
        let parts = [
            "policy.retry",
            "policy.timeout",
            "policy.max_in_flight",
            "policy.hold_duration",
            "policy.disable_after_dead",
        ];
        assert_eq!(read(&["policy"]), read(&parts));
        assert!(read(&["policy"]).1.is_empty());
        assert_ne!(read(&["policy"]).0, read(&parts[1..]).0);
    }

    #[test]
    fn a_mask_names_only_what_it_says() {
        let url = EndpointMask { url: true, ..EndpointMask::default() };
        assert_eq!(read(&["url", "url"]), (url, vec![]));
    }

    #[test]
    fn empty_unknown_and_output_only_are_refused() {
        assert_eq!(read(&[]).1, ["update_mask"]);
        let refused =
            ["", "*", "URL", "policy.", "policy.retry.preset", "secret", "endpoint.url", " url", "state", "etag"];
        for path in refused {
            assert_eq!(read(&["url", path]).1, ["update_mask.paths[1]"], "{path}");
        }
    }
}
