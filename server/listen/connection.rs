//! A connection that has to say what it speaks. The first bytes tell HTTP/2 from HTTP/1; whoever sends neither within the time
//! is cut off. HTTP/2 looks after itself from there, by pings; a connection of HTTP/1 ends after a while whatever happens on it.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::places::Place;

/// What every connection of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// Who is at the other end, which may be a proxy.
    address: SocketAddr,
    /// Until it is known to speak HTTP/2.
    greeting: Option<Greeting>,
    _place: Place,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
struct Greeting {
    /// How many bytes of the preface have come; `None` once something else has.
    met: Option<usize>,
    /// When the connection is cut off.
    end: Pin<Box<Sleep>>,
    http1_max: Duration,
}

impl Connection {
    /// One that is not encrypted. It has until `until` for its greeting, and `http1_max` from then if it speaks HTTP/1.
    pub(super) fn plain(
        stream: TcpStream,
        address: SocketAddr,
        place: Place,
        until: Instant,
        http1_max: Duration,
    ) -> Self {
        Self::new(Stream::Plain(stream), address, place, until, http1_max)
    }

    /// As [`Connection::plain`], encrypted.
    pub(super) fn encrypted(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        place: Place,
        until: Instant,
        http1_max: Duration,
    ) -> Self {
        Self::new(Stream::Encrypted(Box::new(stream)), address, place, until, http1_max)
    }

    fn new(stream: Stream, address: SocketAddr, place: Place, until: Instant, http1_max: Duration) -> Self {
        let greeting = Greeting { met: Some(0), end: Box::pin(sleep_until(until)), http1_max };
        Self { stream, address, greeting: Some(greeting), _place: place }
    }
}

impl Greeting {
    /// Looks at bytes that have come. Returns whether they complete the preface.
    fn read(&mut self, bytes: &[u8]) -> bool {
        let Some(met) = self.met else { return false };
        let expected = &PREFACE[met..];
        let common = expected.len().min(bytes.len());
        if expected[..common] == bytes[..common] {
            self.met = Some(met + common);
        } else {
            self.met = None;
            self.end.as_mut().reset(Instant::now() + self.http1_max);
        }
        self.met == Some(PREFACE.len())
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(greeting) = &mut this.greeting
            && greeting.end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(this.stream.poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() && this.greeting.as_mut().is_some_and(|greeting| greeting.read(read)) {
            this.greeting = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    /// What calls carry among their extensions.
    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: None, remote_addr: Some(self.address) }
    }
}
