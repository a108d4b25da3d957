//! What a check says of an event before it is published, as callers are told it.

use super::{WebhookApi, error::Error, violation::Violations};
use crate::{
    model::{NewEvent, schema::SchemaViolation},
    proto::{ErrorReason, PublishWarning, PublishWarningKind},
    publish::{self, Verdict, Warning},
};

impl WebhookApi {
    /// Holds an event that stands at `field` against its type's description: the warnings about it, or its refusal.
    pub(super) async fn check_event(&self, event: &NewEvent, field: &str) -> Result<Vec<Warning>, Error> {
        let mut violations = Violations::default();
        let warnings = self.judge_event(event, field, &mut violations).await?;
        violations.check()?;
        Ok(warnings)
    }

    /// As [`Self::check_event`], with what it is refused for among other violations.
    pub(super) async fn judge_event(
        &self,
        event: &NewEvent,
        field: &str,
        violations: &mut Violations,
    ) -> Result<Vec<Warning>, Error> {
        match publish::check(&self.shared, event).await? {
            Verdict::Publish(warnings) => Ok(warnings),
            Verdict::Refuse(broken) => {
                for SchemaViolation { pointer, problem } in broken {
                    let description = match pointer.as_str() {
                        "" => problem,
                        _ => format!("at `{pointer}` {problem}"),
                    };
                    violations.add_for(ErrorReason::SchemaViolation, format!("{field}.payload"), description);
                }
                Ok(Vec::new())
            }
        }
    }
}

/// A warning as callers are told it.
pub(super) fn show_warning(warning: Warning) -> PublishWarning {
    match warning {
        Warning::SchemaViolation(SchemaViolation { pointer, problem }) => {
            PublishWarning { kind: PublishWarningKind::SchemaViolation as i32, json_pointer: pointer, message: problem }
        }
        Warning::Deprecated => PublishWarning {
            kind: PublishWarningKind::EventTypeDeprecated as i32,
            json_pointer: String::new(),
            message: "the event's type is deprecated".to_owned(),
        },
    }
}
