//! Calling a server with a key: what the command line, the demo and the tests share of it.

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A connection whose calls bear a key, or none.
pub type KeyedChannel = InterceptedService<Channel, Bearer>;

/// Puts a key, or a dashboard token, on every call. Shows nothing of it.
#[derive(Clone, Debug, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Calls bear `key`.
    ///
    /// # Errors
    /// It has characters that cannot stand in a header.
    pub fn new(key: &str) -> Result<Self, tonic::metadata::errors::InvalidMetadataValue> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {key}").parse()?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }

    /// Calls over `channel` bear the key.
    pub fn over(&self, channel: Channel) -> KeyedChannel {
        InterceptedService::new(channel, self.clone())
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_key() {
        let bearer = Bearer::new("canary").unwrap();
        assert!(!format!("{bearer:?}").contains("canary"), "{bearer:?}");
        assert!(Bearer::new("a\nb").is_err());
    }
}
