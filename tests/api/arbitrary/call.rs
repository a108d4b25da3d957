//! Calls of any method with any message, whatever their types.

use std::{net::SocketAddr, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tidings::client::{Bearer, KeyedChannel};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::support::{channel, plain_channel, soon};

/// How long a stream is read. Whether it says anything by then does not matter.
const STREAM_READ: Duration = Duration::from_millis(20);

/// What a call got.
#[derive(Debug)]
pub(crate) enum Answer {
    Message(DynamicMessage),
    /// A stream that has not said anything yet.
    Open,
    Refused(Status),
}

impl Answer {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Message(_) | Self::Open => Code::Ok,
            Self::Refused(status) => status.code(),
        }
    }
}

/// Calls methods by their descriptors.
pub(crate) struct Caller(Grpc<KeyedChannel>);

impl Caller {
    /// With an operator's key.
    pub(crate) async fn new(address: SocketAddr) -> Self {
        Self(Grpc::new(channel(address).await))
    }

    /// With this key.
    pub(crate) async fn with(key: &str, address: SocketAddr) -> Self {
        Self(Grpc::new(Bearer::new(key).unwrap().over(plain_channel(address).await)))
    }

    /// Without a key.
    pub(crate) async fn without(address: SocketAddr) -> Self {
        Self(Grpc::new(Bearer::default().over(plain_channel(address).await)))
    }

    /// Sends one message and ends the request, as every kind of method may be called.
    pub(crate) async fn call(&mut self, method: &MethodDescriptor, message: &DynamicMessage) -> Answer {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let request = Request::new(Bytes::from(message.encode_to_vec()));
        self.0.ready().await.unwrap();
        let read =
            |answer| DynamicMessage::decode(method.output(), answer).expect("the server's answer is well-formed");
        let answer = async {
            let mut answers = self.0.server_streaming(request, path.parse().unwrap(), Raw).await?.into_inner();
            if !method.is_server_streaming() {
                let answer = answers.message().await?.expect("a message");
                assert!(answers.message().await?.is_none(), "more than one message");
                return Ok(Answer::Message(read(answer)));
            }
            match tokio::time::timeout(STREAM_READ, answers.message()).await {
                Ok(answer) => Ok(answer?.map_or(Answer::Open, |answer| Answer::Message(read(answer)))),
                Err(_) => Ok(Answer::Open),
            }
        };
        soon(answer).await.unwrap_or_else(Answer::Refused)
    }
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
