//! What stands in front of everything that is served: each call is counted, kept within its deadline and at its caller's
//! turn, and each error of it says its reason.

use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};
use tower::Service;

use crate::auth::Policy;
use crate::deadline;
use crate::explained::explained;
use crate::meter::{Meter, metered};
use crate::turns::{self, Turns};

/// A service, and what is asked of each of its calls.
#[derive(Clone, Debug)]
pub(crate) struct Front<S> {
    pub(crate) inner: S,
    pub(crate) meter: Arc<Meter>,
    pub(crate) policy: Policy,
    pub(crate) turns: Arc<Turns>,
}

impl<S> Service<Request<Body>> for Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let running = self.meter.begin(request.uri().path());
        let deadline = deadline::of(request.headers());
        let (request, turn) = turns::enter(&self.turns, &self.policy, request);
        let answer = turns::at_turn(turn, self.inner.call(request));
        Box::pin(async move {
            let answer = deadline::keep(deadline, answer).await?;
            Ok(metered(running, explained(answer)))
        })
    }
}

/// The RPC that a path means; `None` = it belongs to another service.
pub(crate) fn method(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_prefix(crate::SERVICE)?.strip_prefix('/')
}
