//! Each request to the endpoint names the trace that it belongs to, for nodes that trace themselves.

use std::task::{Context, Poll};

use alloy::rpc::json_rpc::RequestPacket;
use tower::{Layer, Service};
use x402_schemas::api::trace_context;

#[derive(Clone, Copy, Debug)]
pub(super) struct TraceLayer;

#[derive(Clone, Debug)]
pub(super) struct Traced<S>(S);

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced(inner)
    }
}

impl<S: Service<RequestPacket>> Service<RequestPacket> for Traced<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut packet: RequestPacket) -> S::Future {
        // A batch is one HTTP request, whose headers are those of its calls together.
        if let Some(first) = packet.requests_mut().first_mut() {
            trace_context::write(first.headers_mut());
        }
        self.0.call(packet)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use alloy::rpc::json_rpc::{Id, Request, SerializedRequest};
    use axum::http::HeaderMap;
    use tower::{ServiceExt, service_fn};
    use x402_schemas::api::trace_context::TRACEPARENT;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    async fn told(packet: RequestPacket) -> HeaderMap {
        let node = service_fn(async |packet: RequestPacket| Ok::<_, Infallible>(packet.headers()));
        TraceLayer.layer(node).oneshot(packet).await.unwrap()
    }

    fn call() -> SerializedRequest {
        let call = Request::new("eth_chainId", Id::Number(1), ());
        call.try_into().unwrap()
    }

    #[tokio::test]
    async fn the_node_is_told_the_trace_once_for_a_batch() {
        let headers = HeaderMap::from_iter([(TRACEPARENT, PARENT.parse().unwrap())]);
        let _here = trace_context::read(&headers).unwrap().attach();
        for packet in [call().into(), RequestPacket::from_iter([call(), call()])] {
            let headers = told(packet).await;
            let parents: Vec<_> = headers.get_all(TRACEPARENT).iter().collect();
            assert_eq!(parents, [PARENT]);
        }
    }

    #[tokio::test]
    async fn outside_of_a_trace_the_node_is_told_nothing() {
        assert!(told(call().into()).await.is_empty());
    }
}
