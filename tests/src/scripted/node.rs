//! The node: several replicas behind one port each, and one port that deals requests out among them.
//!
//! Everything that an endpoint answers is decided under one lock, in the order in which requests arrive; only then is it
//! sent, well or badly.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    chain::Chain,
    fuse::{Fuse, Moment},
    lies::{Lies, Told},
    replica::{Refusal, Replica, refusal},
    weather::{Fault, Weather},
    wire::{self, Delivery, Reply},
};

/// How long a hanging request hangs; longer than the patience of an impatient client.
const HANG: Duration = Duration::from_millis(500);

/// How long a slow reply takes.
const SLOW: Duration = Duration::from_millis(40);

/// A running node; it ends when it is dropped.
#[derive(Debug)]
pub struct Node {
    /// The endpoint that deals requests out among all replicas.
    pub url: Url,
    /// An endpoint for each replica.
    pub replica_urls: Vec<Url>,
    reins: Arc<Mutex<Reins>>,
    served: watch::Receiver<u64>,
    fuse: Fuse,
    _tasks: JoinSet<()>,
}

/// Everything that a script can change while the node runs.
#[derive(Debug)]
pub struct Reins {
    /// The chain.
    pub chain: Chain,
    /// The nodes that follow it.
    pub replicas: Vec<Replica>,
    /// What requests meet.
    pub weather: Weather,
    /// Requests that went wrong.
    pub struck: u64,
    lies: Lies,
    rng: Rng,
}

/// Whom an endpoint asks.
#[derive(Clone, Copy, Debug)]
enum Endpoint {
    Any,
    Only(usize),
}

impl Node {
    /// Serves a chain through some replicas.
    pub async fn start(seed: u64, chain: Chain, replicas: Vec<Replica>, fuse: Fuse) -> Self {
        let endpoints = replicas.len();
        let reins = Arc::new(Mutex::new(Reins {
            chain,
            replicas,
            weather: Weather::fair(),
            struck: 0,
            lies: Lies::default(),
            rng: Rng::with_seed(seed),
        }));
        let (count, served) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let mut urls = Vec::new();
        let only = (0..endpoints).map(Endpoint::Only);
        for endpoint in std::iter::once(Endpoint::Any).chain(only) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(
                format!("http://{}/", listener.local_addr().unwrap())
                    .parse()
                    .unwrap(),
            );
            let port = Port {
                endpoint,
                reins: Arc::clone(&reins),
                count: count.clone(),
                fuse: fuse.clone(),
            };
            tasks.spawn(port.listen(listener));
        }
        Self {
            url: urls.remove(0),
            replica_urls: urls,
            reins,
            served,
            fuse,
            _tasks: tasks,
        }
    }

    /// Looks at the chain and what surrounds it, or changes it, between two requests.
    pub fn with<T>(&self, change: impl FnOnce(&mut Reins) -> T) -> T {
        change(&mut self.reins.lock().unwrap())
    }

    /// What kills by the node's requests.
    pub const fn fuse(&self) -> &Fuse {
        &self.fuse
    }

    /// Waits until so many more requests have come, but not longer than `at_most`.
    pub async fn after(&self, requests: u64, at_most: Duration) {
        let mut served = self.served.clone();
        let target = *served.borrow() + requests;
        let come = served.wait_for(|count| *count >= target);
        drop(tokio::time::timeout(at_most, come).await);
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        *self.served.borrow()
    }
}

#[derive(Clone)]
struct Port {
    endpoint: Endpoint,
    reins: Arc<Mutex<Reins>>,
    count: watch::Sender<u64>,
    fuse: Fuse,
}

impl Port {
    async fn listen(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(self.clone().serve(stream));
            while connections.try_join_next().is_some() {}
        }
    }

    async fn serve(self, stream: TcpStream) {
        drop(stream.set_nodelay(true));
        let mut stream = BufReader::new(stream);
        while let Ok(Some(request)) = wire::read(&mut stream).await {
            let delivery = self.decide(&request.body);
            if wire::deliver(&mut stream, delivery).await.is_err() {
                return;
            }
        }
    }

    fn decide(&self, body: &[u8]) -> Delivery {
        self.count.send_modify(|count| *count += 1);
        if self.fuse.burn(Moment::Request) {
            return Delivery::Reset;
        }
        let calls: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        self.reins.lock().unwrap().decide(self.endpoint, &calls)
    }
}

impl Reins {
    /// Fair weather, and every replica where the chain is.
    pub fn settle(&mut self) {
        self.weather = Weather::fair();
        for replica in &mut self.replicas {
            replica.stuck_on = None;
        }
    }

    /// Makes all but the newest `keep` blocks final; replicas on a branch that this rules out catch up.
    pub fn finalize(&mut self, keep: u64) {
        self.chain.finalize(keep);
        for replica in &mut self.replicas {
            replica.respect_finality(&self.chain);
        }
    }

    fn decide(&mut self, endpoint: Endpoint, calls: &Value) -> Delivery {
        let index = match endpoint {
            Endpoint::Any => self.rng.usize(..self.replicas.len()),
            Endpoint::Only(index) => index,
        };
        if self.replicas[index].dead {
            return Delivery::Reset;
        }
        let fault = self.weather.next(&mut self.rng);
        let (reply, lied) = match calls.as_array() {
            Some(calls) => {
                let mut lie = fault;
                let mut lied = false;
                let replies: Vec<Value> = calls
                    .iter()
                    .map(|call| {
                        let (reply, told) = self.reply(index, call, lie);
                        // One lie for each request.
                        lie = lie.filter(|_| !told);
                        lied |= told;
                        reply
                    })
                    .collect();
                (Value::Array(replies), lied)
            }
            None => self.reply(index, calls, fault),
        };
        let bytes = serde_json::to_vec(&reply).unwrap();
        let broken = fault.and_then(|fault| broken(fault, &calls["id"], &bytes));
        if lied || broken.is_some() {
            self.weather.struck();
            self.struck += 1;
        }
        broken.unwrap_or_else(|| Delivery::Whole(Reply::json(200, bytes)))
    }

    /// One call's reply, and whether it is a lie.
    fn reply(&mut self, index: usize, call: &Value, fault: Option<Fault>) -> (Value, bool) {
        let (method, params) = (call["method"].as_str().unwrap_or_default(), &call["params"]);
        let replica = &self.replicas[index];
        let mut answer = replica.on(&self.chain).answer(method, params);
        if answer.is_err() && replica.hides_ignorance && method == "eth_getLogs" {
            let block = serde_json::from_value(params[0]["blockHash"].clone());
            if block.is_ok_and(|block| self.lies.may_hide(block)) {
                answer = Ok(json!([]));
            }
        }
        let mut lied = false;
        if let (Some(fault), Ok(answer)) = (fault, &mut answer) {
            let mut told = Told {
                chain: &self.chain,
                method,
                params,
                answer,
            };
            lied = self.lies.tell(fault, &mut told);
        }
        (enveloped(&call["id"], answer), lied)
    }
}

fn enveloped(id: &Value, answer: Result<Value, Refusal>) -> Value {
    match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(Refusal { code, message }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    }
}

/// What a fault of the way makes of a reply; nothing if it is not of that kind.
fn broken(fault: Fault, id: &Value, bytes: &[u8]) -> Option<Delivery> {
    let whole = Reply::json(200, bytes.to_vec());
    let error = |code, message| {
        let reply = enveloped(id, Err(refusal(code, message)));
        Delivery::Whole(Reply::json(200, serde_json::to_vec(&reply).unwrap()))
    };
    let status = |status| Reply {
        status,
        headers: vec![("content-type".into(), "text/html".into())],
        body: b"<html><body>error code: 1015</body></html>".to_vec(),
    };
    Some(match fault {
        Fault::Truncated => Delivery::Half(whole),
        Fault::BrokenJson => {
            let half = &bytes[..bytes.len() / 2];
            Delivery::Whole(Reply::json(200, half.to_vec()))
        }
        Fault::ErrorPage => Delivery::Whole(status(502)),
        Fault::Unavailable => Delivery::Whole(status(503)),
        Fault::TooManyRequests { retry_after } => {
            let mut reply = status(429);
            if retry_after {
                reply.headers.push(("retry-after".into(), "1".into()));
            }
            Delivery::Whole(reply)
        }
        Fault::Reset => Delivery::Reset,
        Fault::Hang => Delivery::Silence(HANG),
        Fault::Slow => Delivery::Late(SLOW, whole),
        Fault::RateLimited => error(-32005, "daily request count exceeded, request rate limited"),
        Fault::InternalError => error(-32603, "Internal error"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
