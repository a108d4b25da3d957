//! Field masks of updates: which settings a call changes.

use prost_types::FieldMask;

use super::violation::{Violations, echo};

/// Fields of an endpoint that exist, but that its owner does not set.
const OUTPUT_ONLY: [&str; 14] = [
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
    "pause_time",
    "disable_warning",
    "backlog_drain",
    "credentials_summary",
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
    pub(super) http_credentials: bool,
    pub(super) client_certificate: bool,
    pub(super) retry: bool,
    pub(super) timeout: bool,
    pub(super) max_in_flight: bool,
    pub(super) hold_duration: bool,
    pub(super) disable_after_dead: bool,
}

impl EndpointMask {
    /// Reads a mask; it must name something, and nothing that cannot be changed.
    pub(super) fn read(mask: Option<&FieldMask>, violations: &mut Violations) -> Self {
        let mut named = Self::default();
        read_paths(mask, violations, |path| named.name(path));
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
            "credentials" => (self.http_credentials, self.client_certificate) = (true, true),
            "credentials.http" => self.http_credentials = true,
            "credentials.client_certificate" => self.client_certificate = true,
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
                return Err(output_only(output));
            }
            unknown => {
                return Err(not_among(
                    unknown,
                    "`display_name`, `description`, `labels`, `url`, `event_types`, `style`, `headers`, `credentials`, \
                     `credentials.http`, `credentials.client_certificate`, `policy`, \
                     `policy.retry`, `policy.timeout`, `policy.max_in_flight`, `policy.hold_duration`, \
                     `policy.disable_after_dead`",
                ));
            }
        }
        Ok(())
    }
}

/// Which settings of an event type are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventTypeMask {
    pub(super) description: bool,
    pub(super) schema: bool,
    pub(super) deprecated: bool,
}

impl EventTypeMask {
    /// Reads a mask, as [`EndpointMask::read`] does.
    pub(super) fn read(mask: Option<&FieldMask>, violations: &mut Violations) -> Self {
        let mut named = Self::default();
        read_paths(mask, violations, |path| {
            match path {
                "description" => named.description = true,
                "schema" => named.schema = true,
                "deprecated" => named.deprecated = true,
                "name" => return Err("`name` cannot be changed; leave it out of the mask".to_owned()),
                "tenant_id" | "create_time" | "update_time" | "etag" => return Err(output_only(path)),
                unknown => return Err(not_among(unknown, "`description`, `schema`, `deprecated`")),
            }
            Ok(())
        });
        named
    }
}

/// Which settings of a tenant are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TenantMask {
    pub(super) display_name: bool,
    pub(super) schema_check: bool,
    pub(super) quotas: bool,
}

impl TenantMask {
    /// Reads a mask, as [`EndpointMask::read`] does.
    pub(super) fn read(mask: Option<&FieldMask>, violations: &mut Violations) -> Self {
        let mut named = Self::default();
        read_paths(mask, violations, |path| {
            match path {
                "display_name" => named.display_name = true,
                "schema_check" => named.schema_check = true,
                "quotas" => named.quotas = true,
                "id" => return Err("`id` cannot be changed; leave it out of the mask".to_owned()),
                "create_time" | "update_time" | "etag" => return Err(output_only(path)),
                unknown => return Err(not_among(unknown, "`display_name`, `schema_check`, `quotas`")),
            }
            Ok(())
        });
        named
    }
}

/// Reads the paths of a mask; there must be some, and `name` takes each or says what is wrong with it.
fn read_paths(mask: Option<&FieldMask>, violations: &mut Violations, mut name: impl FnMut(&str) -> Result<(), String>) {
    let paths = mask.map_or(&[][..], |mask| mask.paths.as_slice());
    if paths.is_empty() {
        violations.add(FIELD, "must name the fields to change");
    }
    for (index, path) in paths.iter().enumerate() {
        if let Err(problem) = name(path) {
            violations.add(format!("{FIELD}.paths[{index}]"), problem);
        }
    }
}

fn output_only(path: &str) -> String {
    format!("`{path}` is output only; leave it out of the mask")
}

fn not_among(path: &str, fields: &str) -> String {
    format!("`{}` is not among {fields}", echo(path))
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

    #[test]
    fn event_types_and_tenants_have_masks_of_their_own() {
        let mask = |paths: &[&str]| FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() };
        let mut violations = Violations::default();
        let named = EventTypeMask::read(Some(&mask(&["schema", "deprecated"])), &mut violations);
        assert_eq!(named, EventTypeMask { description: false, schema: true, deprecated: true });
        assert!(TenantMask::read(Some(&mask(&["schema_check"])), &mut violations).schema_check);
        assert_eq!(violations, Violations::default());
        for path in ["", "*", "name", "tenant_id", "create_time", "update_time", "etag", "Schema", "schema.type"] {
            let mut violations = Violations::default();
            EventTypeMask::read(Some(&mask(&["schema", path])), &mut violations);
            assert_eq!(violations.len(), 1, "{path}");
        }
        for path in ["", "*", "id", "create_time", "update_time", "etag", "schemaCheck"] {
            let mut violations = Violations::default();
            TenantMask::read(Some(&mask(&[path])), &mut violations);
            assert_eq!(violations.len(), 1, "{path}");
        }
    }
}
