//! The load generator: one thread, requests made beforehand, every answer's verdict checked.
//!
//! Two manners. `flat_out` sends the next request of a connection when its answer is there, which finds the peak.
//! `paced` sends at given times, and a request that could not be sent at its time because its connection was still
//! waiting counts as late from that time on, so that a stall shows in full.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use x402_tests::market::payments::payment_id;

/// More than any answer of a single request; batches grow it.
const BUFFER: usize = 16 * 1_024;

/// A request, and what has to come back.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What has to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// This payment, verified.
    Verified(u64),
    /// The same, or 429.
    VerifiedOrLimited(u64),
    /// A refusal with this code.
    Refused(&'static str),
    /// So many results, all verified.
    AllVerified(usize),
    /// Exactly this body.
    Body(&'static str),
}

/// How it went.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// Sorted, microseconds.
    latencies: Vec<u32>,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
enum Pace {
    FlatOut,
    PerSecond(f64),
}

#[derive(Debug)]
struct Job {
    address: SocketAddr,
    calls: Arc<[Call]>,
    total: usize,
    connections: usize,
    pace: Pace,
}

impl Run {
    /// The latency that this share of the requests stayed under, in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let last = self.latencies.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length is one"
        )]
        let at = (share * last as f64).round() as usize;
        f64::from(self.latencies[at]) / 1_000.0
    }
}

/// Each of these requests once, as fast as answers come.
pub(crate) async fn flat_out(
    address: SocketAddr,
    calls: &Arc<[Call]>,
    total: usize,
    connections: usize,
) -> Run {
    start(address, calls, total, connections, Pace::FlatOut).await
}

/// The same at so many a second.
pub(crate) async fn paced(
    address: SocketAddr,
    calls: &Arc<[Call]>,
    total: usize,
    connections: usize,
    per_second: f64,
) -> Run {
    start(
        address,
        calls,
        total,
        connections,
        Pace::PerSecond(per_second),
    )
    .await
}

/// All of these requests at once, each on a connection of its own.
pub(crate) async fn all_at_once(address: SocketAddr, calls: &Arc<[Call]>) -> Run {
    flat_out(address, calls, calls.len(), calls.len()).await
}

async fn start(
    address: SocketAddr,
    calls: &Arc<[Call]>,
    total: usize,
    connections: usize,
    pace: Pace,
) -> Run {
    let job = Job {
        address,
        calls: Arc::clone(calls),
        total,
        connections,
        pace,
    };
    tokio::task::spawn_blocking(move || std::thread::spawn(move || generate(job)).join().unwrap())
        .await
        .unwrap()
}

fn generate(job: Job) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let mut streams = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let stream = TcpStream::connect(job.address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }
        let (job, next) = (Arc::new(job), Arc::new(AtomicUsize::new(0)));
        let began = Instant::now();
        let senders = streams.into_iter().map(|stream| {
            let (job, next) = (Arc::clone(&job), Arc::clone(&next));
            tokio::spawn(async move { converse(stream, &job, &next, began).await })
        });
        let senders: Vec<_> = senders.collect();
        let mut latencies = Vec::with_capacity(job.total);
        for sender in senders {
            latencies.extend(sender.await.unwrap());
        }
        let seconds = began.elapsed().as_secs_f64();
        latencies.sort_unstable();
        Run { seconds, latencies }
    })
}

async fn converse(
    mut stream: TcpStream,
    job: &Job,
    next: &AtomicUsize,
    start: Instant,
) -> Vec<u32> {
    let mut latencies = Vec::with_capacity(job.total / job.connections + 1);
    let mut buffer = vec![0; BUFFER];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= job.total {
            return latencies;
        }
        let call = &job.calls[number % job.calls.len()];
        let began = match job.pace {
            Pace::FlatOut => Instant::now(),
            Pace::PerSecond(rate) => {
                due(start + Duration::from_secs_f64(number as f64 / rate)).await
            }
        };
        stream.write_all(&call.bytes).await.unwrap();
        let (status, body) = read(&mut stream, &mut buffer).await;
        let took = began.elapsed().as_micros();
        call.expected.check(status, body);
        latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
    }
}

/// Waits for a moment. From then on a request counts as under way; the timer's own lateness is not the server's.
async fn due(moment: Instant) -> Instant {
    if moment <= Instant::now() {
        return moment;
    }
    tokio::time::sleep_until(moment.into()).await;
    Instant::now()
}

/// One answer: its status and its body.
async fn read<'a>(stream: &mut TcpStream, buffer: &'a mut Vec<u8>) -> (u16, &'a [u8]) {
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server hung up");
        filled += read;
        let Some(head) = buffer[..filled]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        else {
            continue;
        };
        let end = head + 4 + content_length(&buffer[..head]);
        if filled >= end {
            let status = std::str::from_utf8(&buffer[9..12]).unwrap();
            return (status.parse().unwrap(), &buffer[head + 4..end]);
        }
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME));
    let digits = line.expect("an answer says how long it is")[NAME.len()..].trim_ascii();
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

impl Expected {
    /// A wrong verdict has no speed.
    fn check(self, status: u16, body: &[u8]) {
        let limited = matches!(self, Self::VerifiedOrLimited(_)) && status == 429;
        let right = limited || status == 200 && self.fits(body);
        assert!(
            right,
            "expected {self:?}, got {status} {}",
            String::from_utf8_lossy(&body[..body.len().min(500)])
        );
    }

    fn fits(self, body: &[u8]) -> bool {
        match self {
            Self::Verified(number) | Self::VerifiedOrLimited(number) => starts_with(
                body,
                &[r#"{"verified":true,"paymentId":""#, &payment_id(number)],
            ),
            Self::Refused(code) => {
                starts_with(body, &[r#"{"verified":false,"errorCode":""#, code, "\""])
            }
            Self::AllVerified(count) => {
                let verified = body
                    .split(|byte| *byte == b'{')
                    .filter(|item| item.starts_with(br#""verified":true,"paymentId":"#));
                verified.count() == count
            }
            Self::Body(text) => body == text.as_bytes(),
        }
    }
}

fn starts_with(body: &[u8], parts: &[&str]) -> bool {
    let mut rest = body;
    parts.iter().all(|part| {
        let fits = rest.starts_with(part.as_bytes());
        rest = rest.get(part.len()..).unwrap_or_default();
        fits
    })
}
