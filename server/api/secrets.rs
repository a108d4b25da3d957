//! Signing secrets of endpoints.

use zeroize::Zeroizing;

use super::{
    WebhookApi,
    convert::read_duration_in,
    endpoints::{read_secret, unreported},
    error::Error,
    violation::Violations,
};
use crate::{
    configure::{OVERLAP_DEFAULT, OVERLAP_MAX},
    proto::{RotateEndpointSecretRequest, RotateEndpointSecretResponse},
};

impl WebhookApi {
    pub(super) async fn rotate_endpoint_secret(
        &self,
        mut request: RotateEndpointSecretRequest,
    ) -> Result<RotateEndpointSecretResponse, Error> {
        let given = request.secret.take().map(Zeroizing::new);
        let tenant = self.tenant(&request.tenant_id)?;
        let mut violations = Violations::default();
        let key = self.read_endpoint_id(&request.endpoint_id, "endpoint_id", &mut violations);
        let overlap = request.overlap.as_ref().map_or(Ok(OVERLAP_DEFAULT), |overlap| {
            read_duration_in(overlap, std::time::Duration::ZERO..=OVERLAP_MAX, "from 0 to 7 days")
        });
        let overlap = violations.take("overlap", overlap);
        let secret = read_secret(given, &mut violations);
        violations.check()?;
        let (Some(key), Some(overlap), Some(secret)) = (key, overlap, secret) else { return Err(unreported()) };

        let secrets = self.configurator.rotate_secret(tenant.key, key, secret.clone(), overlap).await?;
        Ok(RotateEndpointSecretResponse {
            secret: secret.expose().to_owned(),
            secrets: secrets.iter().map(|secret| self.show_secret(secret)).collect(),
        })
    }
}
